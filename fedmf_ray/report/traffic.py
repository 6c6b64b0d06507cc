"""Bytes per user and round, up and down: over a swept key of a study, or a bar per run."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    PAGE_INCHES,
    bar_names,
    bars_height,
    legend_below,
    line_looks,
    new_figure,
    styled,
)
from fedmf_ray.report.names import marked
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Run, Study, need, with_basis
from fedmf_ray.report.series import axis_key, axis_label, lines, merged, scales, title

_PANELS = {"upload_bytes_total": "up", "download_bytes_total": "down"}
COLUMNS = (*_PANELS, "users")


@styled
def traffic(table: pd.DataFrame, over: str | None = None, width: float = PAGE_INCHES) -> Figure:
    """Mean bytes of a user in a round, counted on the wire, over a swept key: one panel each way."""
    over = axis_key(table, over)
    need(table, COLUMNS)
    found = merged(lines(_per_user(table), over, list(_PANELS)), list(_PANELS))
    bases = [line.basis for line in found]
    figure, axes = new_figure(width=width, height=3.0, panels=2)
    for axis, (column, text) in zip(axes, _PANELS.items(), strict=True):
        for line, look in zip(found, line_looks(bases), strict=True):
            axis.plot(line.points[over], line.points[column], label=line.label, **look)
        scales(axis, found, over, closest=1.8)
        axis.set_xlabel(axis_label(table, over))
        axis.set_ylabel("MB per user and round")
        axis.set_title(title(text, "counted", bases))
    if axes[0].get_legend_handles_labels()[1]:
        legend_below(figure, axes[0])
    return figure


@styled
def traffic_of_runs(tables: Sequence[tuple[str, pd.DataFrame]], width: float = PAGE_INCHES) -> Figure:
    """Mean bytes of a user in a round: a bar per run and basis, hatched if not measured, one panel each way.

    tables: names, no two alike, and ``rounds.csv`` tables.
    """
    names, means = [], []
    for name, table in tables:
        need(table, COLUMNS, name)
        for basis, rows in with_basis(_per_user(table).dropna(subset=list(_PANELS))).groupby("basis"):
            names.append(marked(name, str(basis)))
            means.append({**rows[list(_PANELS)].mean(), "basis": basis})
    if not means:
        raise FedMFError("no run has bytes to draw")
    points = pd.DataFrame(means)
    figure, axes = new_figure(width=width, height=0.9 + bars_height(len(points), width), panels=2)
    for axis, (column, text) in zip(axes, _PANELS.items(), strict=True):
        bars = axis.barh(range(len(points)), points[column], color="#0b2c55", height=0.6)
        for at, (bar, basis) in enumerate(zip(bars, points["basis"], strict=True)):
            bar.set(hatch="" if basis == "measured" else "////", edgecolor="white", linewidth=0)
            end = (points[column].iloc[at], at)
            axis.annotate(f"{end[0]:.3g}", end, (4, 0), textcoords="offset points", va="center")
        beside = names if axis is axes[0] or width < PAGE_INCHES else [""] * len(names)
        bar_names(axis, beside if len(names) > 1 else [""], width)
        axis.xaxis.get_major_locator().set_params(nbins=4)
        axis.set_xlim(0, points[column].max() * 1.25)
        axis.set_title(title(text, "counted", points["basis"]))
        axis.set_xlabel("MB per user and round")
    return figure


def _per_user(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{column: table[column] / table["users"] / 1e6 for column in _PANELS})


@picture("Bytes of a user in a round, mean.", run=30, study=20)
def bytes_of_a_user(folder: Run | Study, width: float) -> Figure:
    if isinstance(folder, Study):
        return traffic(folder.rounds, width=width)
    return traffic_of_runs([("", folder.rounds)], width)
