"""Strong and weak scaling over workers, with the ideal line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import COLUMN_INCHES, PAGE_INCHES, line_looks, new_figure, styled
from fedmf_ray.report.names import describe, marked
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Study, need, with_basis
from fedmf_ray.report.series import MOST_LINES, logarithmic, spread, thinned, varied

COLUMNS = ("users", "user_actors", "wall_s")

_PLACEMENT = ("ratings.users", "ratings.select.users", "cluster.users_per_actor")
"""Keys that say how many users and workers there are: the axes here, not settings to keep apart."""


def strong(table: pd.DataFrame) -> pd.DataFrame:
    """Speed-up over workers of the same users, setting and basis, against the fewest workers of these.

    Columns label, basis, users, workers, wall_s, speedup.
    """
    series = _series(table, "users", "users")
    return _joined([rows.assign(speedup=rows["wall_s"].iloc[0] / rows["wall_s"]) for rows in series])


def weak(table: pd.DataFrame) -> pd.DataFrame:
    """Wall seconds over workers with the same users each, of one setting and basis.

    Columns label, basis, users_per_worker, workers, wall_s.
    """
    return _joined(_series(table, "users_per_worker", "users per worker"))


def _series(table: pd.DataFrame, same: str, unit: str) -> list[pd.DataFrame]:
    """Mean wall seconds of a round by workers: a table per value of ``same`` with several workers."""
    need(table, COLUMNS)
    whole = with_basis(table.dropna(subset=list(COLUMNS))).rename(columns={"user_actors": "workers"})
    keys = [key for key in varied(whole) if key not in _PLACEMENT]
    groups = [*keys, "basis", "users", "workers"]
    means = whole.groupby(groups, sort=False, dropna=False)["wall_s"].mean().reset_index()
    means["users_per_worker"] = means["users"] / means["workers"]
    series = []
    for values, rows in means.sort_values("workers").groupby([*keys, "basis", same], dropna=False):
        if len(rows) < 2:
            continue
        *setting, basis, count = values
        words = describe(dict(zip(keys, setting, strict=True)))
        label = ", ".join(part for part in (f"{count:g} {unit}", words) if part)
        series.append(rows.assign(label=marked(label, str(basis))))
    return series


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@styled
def scaling(table: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """Strong scaling: speed-up against the fewest workers. Weak scaling: wall seconds per round.

    Workers are user actors. A panel without two points is left out.
    """
    panels = [part for part in (strong(table), weak(table)) if len(part)]
    if not panels:
        raise FedMFError("the study has no two cells with the same users, or users per worker, to compare")
    narrow = width < 1.4 * COLUMN_INCHES or len(panels) > 1
    panels = [part.assign(label=[_wrapped(name, narrow) for name in part["label"]]) for part in panels]
    entries = 1 + max(sum(name.count("\n") + 1 for name in part["label"].unique()) for part in panels)
    height = max(2.5 + 0.18 * entries, 1.1 + 2 * 0.19 * entries)  # panels stay taller than their legends
    figure, axes = new_figure(width=width, height=height, panels=len(panels))
    for axis, part in zip(axes, panels, strict=True):
        is_strong = "speedup" in part
        column = "speedup" if is_strong else "wall_s"
        groups = [rows for _, rows in part.groupby("label", sort=False)]
        if len(groups) > MOST_LINES:
            raise FedMFError(f"{len(groups)} lines are more than one picture can tell apart")
        for rows, look in zip(groups, line_looks([rows["basis"].iloc[0] for rows in groups]), strict=True):
            axis.plot(rows["workers"], rows[column], label=rows["label"].iloc[0], **look)
        _ideal(axis, groups, is_strong)
        workers = sorted(part["workers"].unique())
        if spread(workers):
            logarithmic(axis, thinned(workers, closest=1.2), both=is_strong)
        else:
            axis.set_xticks(workers)
        if not (is_strong and spread(workers)):
            axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
        axis.set_xlabel("workers (user actors)")
        axis.set_title(
            "strong: speed-up of a round (wall)" if is_strong else "weak: seconds per round (wall)"
        )
        # Each panel has lines of its own; beneath it, where no line can run through the names.
        beneath = axis.transAxes + ScaledTranslation(0, -0.42, figure.dpi_scale_trans)  # inches
        below: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": beneath}
        axis.legend(
            borderaxespad=0, fontsize=7 if narrow else 8, handlelength=2.5 if narrow else 3.5, **below
        )
    return figure


def _wrapped(name: str, narrow: bool) -> str:
    """Beneath its own panel, a long name goes on in a second line."""
    return textwrap.fill(name, 50 if narrow else 90, subsequent_indent="  ")


def _ideal(axis: Any, groups: Sequence[pd.DataFrame], fast: bool) -> None:
    """Each line's own ideal, from its own fewest workers; equal ones are drawn once, and one is named."""
    drawn: set[tuple[float, ...]] = set()
    for rows in groups:
        workers = rows["workers"].to_numpy(float)
        wall = float(rows["wall_s"].iloc[0])
        ideal = workers / workers[0] if fast else workers * 0 + wall
        line = (workers[0], workers[-1]) if fast else (workers[0], workers[-1], wall)
        if line not in drawn:
            look: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (2, 2))}
            axis.plot(workers, ideal, label="_again" if drawn else "ideal", zorder=1.5, **look)
            drawn.add(line)


@picture("Scaling over workers, mean round.", study=30)
def scaling_over_workers(study: Study, width: float) -> Figure:
    return scaling(study.rounds, width)
