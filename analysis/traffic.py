"""Bytes a round and user, up and down, over a swept key.

python analysis/traffic.py STUDY... [--over KEY] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import PAGE_INCHES, drawing, legend_below, line_looks, new_figure, save, styled
from analysis.runs import read_study
from analysis.series import axis_key, lines, logarithmic, need, spread, thinned

_PANELS = (("upload_bytes_total", "MB uploaded a user"), ("download_bytes_total", "MB downloaded a user"))


@styled
def traffic(table: pd.DataFrame, over: str | None = None, width: float = PAGE_INCHES) -> Figure:
    """Mean bytes of a user in a round, counted on the wire, one panel each way."""
    over = axis_key(table, over)
    need(table, [column for column, _ in _PANELS], "the study")
    a_user = table.assign(**{column: table[column] / table["users"] / 1e6 for column, _ in _PANELS})
    figure, axes = new_figure(width=width, height=3.0, panels=2)
    series = list(lines(a_user, over, [column for column, _ in _PANELS]))
    for axis, (column, title) in zip(axes, _PANELS, strict=True):
        for (label, _, points), look in zip(series, line_looks(series), strict=True):
            axis.plot(points[over], points[column], label=label, **look)
        ticks = sorted(table[over].unique())
        if spread(ticks):
            logarithmic(axis, thinned(ticks, closest=1.8))
        else:
            axis.set_ylim(bottom=0)
        axis.set_xlabel(over)
        axis.set_title(title)
    if axes[0].get_legend_handles_labels()[1]:
        legend_below(figure, axes[0])
    return figure


@click.command(help=__doc__.splitlines()[0])
@click.argument("studies", nargs=-1, required=True)
@click.option("--over", help="Swept key for the x axis; the first one with several numbers if not given.")
@click.option("-o", "--output", type=Path, default=Path("traffic.png"), show_default=True)
@drawing
def main(studies: Sequence[str], over: str | None, output: Path) -> None:
    click.echo(save(traffic(read_study(*studies), over), output))


if __name__ == "__main__":
    main()
