"""What each step of trust costs: a bar for each protection of a study, in the order in which it names
them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, bar_names, bars_height, new_figure, styled
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Study, need
from fedmf_ray.report.series import title
from fedmf_ray.schemes import protection

_PREFIX, _SCHEME, _TEXT = "protocol.", "protocol.scheme", "protocol.part_text_sparsity"
_PANELS = {
    "protocol_s": ("seconds", "derived", "s per round"),
    "mb": ("bytes", "counted", "MB per user and round, up and down"),
}
COLUMNS = ("protocol_s", "upload_bytes_total", "download_bytes_total", "users")


@styled
def ladder(table: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """Mean round of each protection: ``protocol_s``, and bytes of a user, on logarithmic axes. Bars
    of what was not measured are hatched.

    table: as :func:`~.runs.read_study` gives it, with ``protocol.scheme`` swept.
    """
    need(table, COLUMNS)
    if _SCHEME not in table or table[_SCHEME].nunique() < 2:
        raise FedMFError("a ladder needs a study that sweeps protocol.scheme")
    steps = _steps(table)
    figure, axes = new_figure(width=width, height=0.9 + bars_height(len(steps), width), panels=len(_PANELS))
    for axis, (column, (text, kind, unit)) in zip(axes, _PANELS.items(), strict=True):
        bars = axis.barh(range(len(steps)), steps[column], color="#0b2c55", height=0.6)
        for at, (bar, basis) in enumerate(zip(bars, steps["basis"], strict=True)):
            bar.set(hatch="" if basis == "measured" else "////", edgecolor="white", linewidth=0)
            end = steps[column].iloc[at], at
            number = f"{end[0]:,.0f}" if end[0] >= 1000 else f"{end[0]:.3g}"
            axis.annotate(number, end, (3, 0), textcoords="offset points", va="center")
        beside = steps["name"].tolist() if axis is axes[0] or width < PAGE_INCHES else [""] * len(steps)
        bar_names(axis, beside, width)
        axis.set_xscale("log")
        low, high = steps[column].min(), steps[column].max()
        axis.set_xlim(low / 3, high * (high / low) ** 0.35 * 3)
        axis.set_title(title(text, kind, steps["basis"]))
        axis.set_xlabel(unit)
    return figure


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    """name, basis, and a mean for each panel, in the order of the table."""
    swept = [key for key in table if str(key).startswith(_PREFIX)]
    sent = table["upload_bytes_total"] + table["download_bytes_total"]
    per_user = table.assign(mb=sent / table["users"] / 1e6)
    rows = []
    for keys, cell in per_user.groupby([*swept, "basis"], sort=False, dropna=False):
        named = dict(zip(swept, keys, strict=False))
        settings = {str(key).removeprefix(_PREFIX): one for key, one in named.items() if one == one}
        text = ", full text" if settings.get("part_text_sparsity") == 0 else ""
        mean = cell[list(_PANELS)].mean()
        rows.append({"name": protection(settings) + text, "basis": keys[-1], **mean})
    steps = pd.DataFrame(rows).dropna(subset=list(_PANELS))
    if steps.empty:
        raise FedMFError("no protection of the study has costs to draw")
    return steps


@picture("What each protection costs, mean round.", study=12, broad=True)
def steps_of_trust(study: Study, width: float) -> Figure:
    return ladder(study.rounds, width)
