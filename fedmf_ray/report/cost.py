"""What a round costs over a swept key: seconds or bytes, one line per combination of the other keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    COLUMN_INCHES,
    legend_below,
    line_looks,
    new_figure,
    styled,
)
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Study, need
from fedmf_ray.report.series import axis_key, axis_label, lines, numeric, scales, title

_MANY_LINES = 8

PUBLISHED = Path(__file__).parent / "published.csv"

_TITLES = {
    "protocol_s": ("protocol seconds per round", "derived"),
    "network_s_max": ("network seconds of the slowest link", "derived"),
    "user_cpu_s_max": ("CPU seconds of the slowest user", "measured"),
    "server_cpu_s": ("CPU seconds of the server", "measured"),
    "wall_s": ("seconds this simulation took per round", "wall"),
    "upload_bytes_total": ("MB uploaded per round, all users", "counted"),
    "download_bytes_total": ("MB downloaded per round, all users", "counted"),
}


@styled
def cost(
    table: pd.DataFrame,
    over: str | None = None,
    column: str = "protocol_s",
    published: bool = False,
    width: float = 1.5 * COLUMN_INCHES,
) -> Figure:
    """Mean of a cost column over rounds against a swept key.

    table: as :func:`~.runs.read_study` gives it. published: add the authors' own seconds, series of
    their own from another machine and other numbers of users; only over items. Charged and estimated
    lines have hollow marks.
    """
    over = axis_key(table, over)
    need(table, [column])
    if published and (over.rpartition(".")[2] != "items" or column != "protocol_s"):
        raise FedMFError(
            f"--published: the authors' figures are protocol_s over items, not {column} over {over}"
        )
    found = lines(table, over, [column])
    figure, (axis,) = new_figure(width=width, height=3.2)
    scale = 1e6 if "bytes" in column else 1.0
    for line, look in zip(found, line_looks([line.basis for line in found]), strict=True):
        axis.plot(line.points[over], line.points[column] / scale, label=line.label, **look)
    if published:
        for row in pd.read_csv(PUBLISHED).itertuples():
            label = f"{row.series}, {row.users} users, {row.key_bits} bits"
            mark = "x" if "full" in str(row.series) else "+"
            look = {"marker": mark, "linestyle": "none", "color": "black", "markersize": 6}
            axis.plot([row.items], [row.protocol_s], label=label, **look)
    scales(axis, found, over, closest=1.2 if width > COLUMN_INCHES else 1.8)
    axis.set_xlabel(axis_label(table, over))
    axis.set_title(_title(column, [line.basis for line in found]))
    if axis.get_legend_handles_labels()[1]:  # a single line has no name
        legend_below(figure, axis)
    return figure


def _title(column: str, bases: Sequence[str]) -> str:
    if column not in _TITLES:
        return column
    text, kind = _TITLES[column]
    if kind == "wall":  # a calibrated run's own time is measured too; only an estimate's is not
        return title(text, "measured", {"measured" if basis == "charged" else basis for basis in bases})
    return title(text, kind, bases)


def _keys_worth_drawing(study: Study) -> list[str]:
    """The swept keys over which lines are few, and at least one of them has two points to join."""
    return [key for key in numeric(study.rounds) if _worth_drawing(study.rounds, key)]


def _worth_drawing(table: pd.DataFrame, key: str) -> bool:
    try:
        need(table, ["protocol_s"])
        found = lines(table, key, ["protocol_s"])
    except FedMFError:
        return False
    return len(found) <= _MANY_LINES and max(len(line.points) for line in found) > 1


@picture("Protocol seconds over {}, mean round.", study=10, each=_keys_worth_drawing)
def seconds_over_key(study: Study, width: float, key: str) -> Figure:
    return cost(study.rounds, key, width=width)
