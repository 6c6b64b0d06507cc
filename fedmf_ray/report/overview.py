"""Quality, cost and protection in one picture: what the README leads with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, series_styles, styled
from fedmf_ray.report.quality import WIDTH, Course
from fedmf_ray.report.runs import read_audit
from fedmf_ray.report.series import plain_ticks

_OURS, _THEIRS, _DARK = "#c04a10", "#7fb0dc", "#0b2c55"


def errors(file: Path) -> pd.DataFrame:
    """Mean and standard deviation of the test RMSE over folds, by model, the best first."""
    try:
        table = pd.read_csv(file).groupby("model")["rmse"].agg(["mean", "std"])
    except (OSError, ValueError, KeyError) as error:
        raise FedMFError(f"{file}: is no table of benchmarks/quality.py: {error}") from None
    return table.sort_values("mean")


def recovered(folder: str, keys: dict[str, str]) -> float:
    """The largest share of ratings that an attack named exactly, of a run or of the cells with these keys.

    What an adversary reads, and no attack here knows, counts as given away.
    """
    table = read_audit(folder)
    for key, value in keys.items():
        if key not in table:
            raise FedMFError(f"{folder}: its audit has no key {key}")
        table = table[table[key] == yaml.safe_load(value)]
    if table.empty:
        raise FedMFError(f"{folder}: no finding of its audit has {keys}")
    shares = table["recovered"].astype(float)
    if "readable" in table:  # not in audits of earlier versions
        shares = shares.mask(shares.isna() & table["readable"].astype(bool), 1.0)
    return float(shares.max())


@styled
def overview(rmse: pd.DataFrame, ours: str, costs: Sequence[Course], leaks: dict[str, float]) -> Figure:
    """Three panels side by side. ours: what models of fedmf-ray are called in ``rmse``, before the rounds."""
    figure = Figure(figsize=(1.35 * PAGE_INCHES, 2.9), layout="constrained")
    quality, cost, protection = figure.subplots(1, 3, width_ratios=[1, 0.9, 0.8])
    names = [name.replace(f"{ours}, ", "fedmf-ray, ") for name in rmse.index]
    for at, (name, mean, spread) in enumerate(zip(names, rmse["mean"], rmse["std"], strict=True)):
        colour = _OURS if name.startswith("fedmf-ray") else _THEIRS
        # Points, not bars: the axis does not begin at zero.
        quality.errorbar([mean], [at], xerr=[spread], fmt="o", color=colour, capsize=2)
        quality.annotate(
            f"{mean:.3f}", (mean + spread, at), (4, -2.5), textcoords="offset points", fontsize=7
        )
    quality.set_yticks(range(len(names)), names)
    quality.set_xlim(right=float(rmse["mean"].max()) + 0.007)
    quality.invert_yaxis()
    quality.set_title("Quality: test RMSE, five folds")
    colours = itertools.cycle([_OURS, _THEIRS, _DARK])  # the first line is ours in all panels
    bases = list(dict.fromkeys(course.basis for course in costs))
    several = len(bases) > 1  # one is in the title instead
    for course, look, colour in zip(costs, series_styles(len(costs)), colours, strict=False):
        label = course.label if several else course.label.replace(f" ({course.basis})", "")
        look |= WIDTH | {"color": colour}
        cost.plot(course.spent["protocol_s"], course.spent["test_rmse"], label=label, **look)
    best = min(float(course.spent["test_rmse"].min()) for course in costs)
    cost.set_ylim(best - 0.005, best + 0.1)
    cost.set_xscale("log")
    plain_ticks(cost.xaxis, most=5)
    cost.set_title(f"Cost: RMSE over protocol seconds ({' or '.join(bases)})")
    cost.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    protection.barh(list(leaks), [100 * share for share in leaks.values()], color=_OURS)
    protection.set_xlim(0, 118)
    protection.invert_yaxis()
    for at, share in enumerate(leaks.values()):
        shown = f"{100 * share:.3g} %"
        protection.annotate(shown, (100 * share, at), (2, -2.5), textcoords="offset points", fontsize=7)
    protection.set_title("Protection: % recovered")
    protection.grid(visible=False, axis="y")
    for axis in (quality, protection):
        axis.tick_params(axis="y", length=0)
    return figure
