"""What a round costs over a swept key: seconds or bytes, one line per combination of the other keys.

python analysis/cost.py STUDY [--over KEY] [--column protocol_s] [--published] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from analysis.figures import COLUMN_INCHES, legend_below, new_figure, save, series_styles, styled
from analysis.runs import read_study, swept_keys
from fedmf_ray.errors import FedMFError

PUBLISHED = Path(__file__).parent / "published.csv"

_LABELS = {
    "protocol_s": "protocol seconds a round (derived)",
    "user_cpu_s_max": "CPU seconds of the slowest user (measured)",
    "server_cpu_s": "CPU seconds of the server (measured)",
    "wall_s": "seconds this simulation took a round (measured)",
    "upload_bytes_total": "MB uploaded a round, all users (counted)",
    "download_bytes_total": "MB downloaded a round, all users (counted)",
}
_TEXTS = {0.0: "full text", 1.0: "part text"}


@styled
def cost(
    table: pd.DataFrame, over: str | None = None, column: str = "protocol_s", published: bool = False
) -> Figure:
    """Mean of a cost column over rounds against a swept key (the first one if not given).

    table: as :func:`analysis.runs.read_study` gives it. published: add the authors' own seconds, a series of
    their own from another machine and other numbers of users; only over items.
    """
    keys = swept_keys(table)
    over = over or keys[0]
    _check(table, keys, over, column)
    lines = [
        (label, points) for label, points in _series(table, over, [k for k in keys if k != over], column)
    ]
    figure, (axis,) = new_figure(width=1.5 * COLUMN_INCHES, height=3.2)
    for (label, points), style in zip(lines, series_styles(len(lines)), strict=True):
        axis.plot(
            points[over],
            points[column],
            label=label,
            marker="o",
            markersize=3.5,
            **style | {"linewidth": 1.6},
        )
    if published:
        for row in pd.read_csv(PUBLISHED).itertuples():
            label = f"{row.series}, {row.users} users, {row.key_bits} bits"
            look = {
                "marker": "x" if "full" in str(row.series) else "+",
                "linestyle": "none",
                "color": "black",
            }
            axis.plot([row.items], [row.protocol_s], label=label, markersize=6, **look)
    if table[over].min() > 0 and table[over].max() >= 8 * table[over].min():
        _logarithmic(axis, sorted(table[over].unique()))
    else:
        axis.set_ylim(bottom=0)
    axis.set_xlabel(over)
    axis.set_title(_LABELS.get(column, column))
    if axis.get_legend_handles_labels()[1]:  # a single line has no name
        legend_below(figure, axis)
    return figure


def _check(table: pd.DataFrame, keys: list[str], over: str, column: str) -> None:
    if over not in keys:
        raise FedMFError(f"--over {over}: the study swept {', '.join(keys)}")
    if column not in table:
        raise FedMFError(f"--column {column}: the study's runs have no such column")
    if not pd.api.types.is_numeric_dtype(table[over]):
        raise FedMFError(f"--over {over}: its values are no numbers")


def _series(
    table: pd.DataFrame, over: str, others: list[str], column: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The points of each line: mean cost by x, for each combination of the other swept keys."""
    groups: Any = table.groupby(others, sort=False) if others else [((), table)]
    for values, rows in groups:
        label = ", ".join(_describe(key, value) for key, value in zip(others, values, strict=True))
        means = rows.groupby(over, as_index=False)[column].mean()
        if "bytes" in column:
            means[column] /= 1e6
        yield label, means


def _describe(key: str, value: Any) -> str:
    if key == "protocol.part_text_sparsity" and value in _TEXTS:
        return _TEXTS[value]
    return f"{key.rpartition('.')[2]} {value}"


def _logarithmic(axis: Any, ticks: list[float]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(ticks, minor=False)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


@click.command(help=__doc__.splitlines()[0])
@click.argument("study")
@click.option("--over", help="Swept key for the x axis; the first one if not given.")
@click.option("--column", default="protocol_s", show_default=True, help="A column of rounds.csv.")
@click.option("--published", is_flag=True, help="Add the authors' published seconds (items only).")
@click.option("-o", "--output", type=Path, default=Path("cost.png"), show_default=True)
def main(study: str, over: str | None, column: str, published: bool, output: Path) -> None:
    try:
        click.echo(save(cost(read_study(study), over, column, published), output))
    except FedMFError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
