"""Bytes a round and user, up and down: over a swept key of a study, or a bar per run.

python analysis/traffic.py STUDY... [--over KEY] [-o FILE]
python analysis/traffic.py RUN... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    PAGE_INCHES,
    bar_names,
    bars_height,
    drawing,
    legend_below,
    line_looks,
    new_figure,
    save,
    styled,
)
from fedmf_ray.report.runs import need, read_any, read_study
from fedmf_ray.report.series import axis_key, axis_label, describe, lines, scales, title, with_basis

_PANELS = {"upload_bytes_total": "up", "download_bytes_total": "down"}
COLUMNS = (*_PANELS, "users")


@styled
def traffic(table: pd.DataFrame, over: str | None = None, width: float = PAGE_INCHES) -> Figure:
    """Mean bytes of a user in a round, counted on the wire, over a swept key: one panel each way."""
    over = axis_key(table, over)
    need(table, COLUMNS)
    found = lines(_a_user(table), over, list(_PANELS))
    bases = [line.basis for line in found]
    figure, axes = new_figure(width=width, height=3.0, panels=2)
    for axis, (column, text) in zip(axes, _PANELS.items(), strict=True):
        for line, look in zip(found, line_looks(bases), strict=True):
            axis.plot(line.points[over], line.points[column], label=line.label, **look)
        scales(axis, found, over, column, closest=1.8)
        axis.set_xlabel(axis_label(table, over))
        axis.set_title(title(f"MB {text}, user and round", "counted", bases))
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
        for basis, rows in with_basis(_a_user(table).dropna(subset=list(_PANELS))).groupby("basis"):
            names.append(f"{name} {describe({}, str(basis))}".strip())
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
        axis.set_xlim(0, points[column].max() * 1.2)
        axis.set_title(title(text, "counted", points["basis"]))
        axis.set_xlabel("MB, user and round")
    return figure


def _a_user(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{column: table[column] / table["users"] / 1e6 for column in _PANELS})


@click.command(help=__doc__.splitlines()[0])
@click.argument("paths", metavar="RUN_OR_STUDY...", nargs=-1, required=True)
@click.option("--over", help="Swept key for the x axis; the first one with several numbers if not given.")
@click.option("-o", "--output", type=Path, default=Path("traffic.png"), show_default=True)
@drawing
def main(paths: Sequence[str], over: str | None, output: Path) -> None:
    if (Path(paths[0]) / "scenario.yaml").exists():
        if over:
            raise FedMFError(f"--over {over}: {paths[0]} is a run, which swept nothing")
        click.echo(save(traffic_of_runs(read_any(paths, COLUMNS)), output))
    else:
        click.echo(save(traffic(read_study(*paths, columns=COLUMNS), over), output))
