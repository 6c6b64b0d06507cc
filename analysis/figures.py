"""One look for all pictures: sizes of a two-column paper, colours and dashes that survive grey print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import cycle
from pathlib import Path
from typing import Any, ParamSpec

import click
import matplotlib as mpl
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError

P = ParamSpec("P")

COLUMN_INCHES = 3.5
PAGE_INCHES = 7.2

_COLOURS = ("#7fb0dc", "#c04a10", "#0b2c55", "#2a9d8f", "#8a4fa3", "#555555")
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "figure.titlesize": 9,
    "legend.handlelength": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws: whatever it adds, late legends included, has the one look."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_figure(width: float = PAGE_INCHES, height: float = 2.8, panels: int = 1) -> tuple[Figure, list[Any]]:
    """A figure and its panels, side by side on a page and one below the other in a column."""
    stacked = panels > 1 and width < 1.4 * COLUMN_INCHES
    rows, columns = (panels, 1) if stacked else (1, panels)
    figure = Figure(figsize=(width, 0.8 * rows * height if stacked else height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def series_styles(count: int) -> list[dict[str, Any]]:
    """Colour, dash and width of each line. Earlier lines are wider, so that equal curves show through."""
    if count == 1:  # alone, a line may be dark
        return [{"color": _COLOURS[2], "linestyle": "-", "linewidth": 1.6}]
    looks = zip(cycle(_COLOURS), cycle(_DASHES), range(count), strict=False)
    return [
        {"color": colour, "linestyle": dash, "linewidth": 1.4 + 1.2 * (count - 1 - at)}
        for colour, dash, at in looks
    ]


def line_looks(series: Sequence[tuple[str, bool, Any]]) -> list[dict[str, Any]]:
    """Looks of lines with marks; those that are not measured (second entry) have hollow ones."""
    return [
        style
        | {
            "linewidth": 1.4,
            "marker": "o",
            "markersize": 3.5,
            "markerfacecolor": None if measured else "white",
        }
        for style, (_, measured, _) in zip(series_styles(len(series)), series, strict=True)
    ]


def drawing(command: Callable[P, None]) -> Callable[P, None]:
    """Decorate a script's main: an error of ours is one line."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FedMFError as error:
            raise click.ClickException(str(error)) from None

    return guarded


def legend_below(figure: Figure, axis: Any) -> None:
    """One legend for all panels, in as many columns as fit the width."""
    handles, labels = axis.get_legend_handles_labels()
    characters = figure.get_figwidth() * 15
    columns = max(1, int(characters // (max(map(len, labels)) + 8)))
    figure.legend(handles, labels, loc="outside lower left", ncols=min(columns, len(labels)))


def save(figure: Figure, output: Path) -> Path:
    """Write PNG, SVG or PDF by suffix; returns the path."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure.savefig(output)
    return output
