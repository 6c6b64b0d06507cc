"""One look for all pictures: sizes of a two-column paper, colours and dashes that survive grey print."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing, writing

P = ParamSpec("P")

COLUMN_INCHES = 3.5
PAGE_INCHES = 7.2
MOST_BARS = 60
_NAME_LETTERS = 16  # per inch, at 7 points

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
    step = min(1.2, 3.5 / (count - 1))  # points; the first of many lines would be too wide otherwise
    return [
        {
            "color": _COLOURS[at % len(_COLOURS)],
            # After each turn of the colours the dashes move on by one: 36 looks.
            "linestyle": _DASHES[(at + at // len(_COLOURS)) % len(_DASHES)],
            "linewidth": 1.4 + step * (count - 1 - at),
        }
        for at in range(count)
    ]


def line_looks(bases: Sequence[str]) -> list[dict[str, Any]]:
    """Looks of lines with marks, one for each basis given: only what was measured has filled ones."""
    return [
        style
        | {
            "linewidth": 1.4,
            "marker": "s" if basis == "estimated" else "o",
            "markersize": 3.5,
            "markerfacecolor": style["color"] if basis == "measured" else "white",
        }
        for style, basis in zip(series_styles(len(bases)), bases, strict=True)
    ]


def bar_names(axis: Any, names: Sequence[str], width: float) -> None:
    """Name horizontal bars at 0, 1, ...: beside them on a page, above them in a column."""
    narrow = width < 1.4 * COLUMN_INCHES
    axis.set_yticks(range(len(names)), [] if narrow else names)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.set_ylim(len(names) - 0.4, -0.9 if narrow else -0.6)
    if narrow:
        axis.spines["left"].set_visible(False)  # it would run through the names
        for at, name in enumerate(names):
            size = max(5, min(7, 7 * _NAME_LETTERS * width / len(name))) if name else 7  # none is cut
            axis.annotate(name, (0, at - 0.3), (0, 2.5), textcoords="offset points", fontsize=size)


def bars_height(count: int, width: float) -> float:
    """Inches for so many bars of :func:`bar_names`."""
    if count > MOST_BARS:
        raise FedMFError(f"{count} bars are more than one picture can show (at most {MOST_BARS})")
    return count * (0.4 if width < 1.4 * COLUMN_INCHES else 0.22)


def legend_below(figure: Figure, axis: Any) -> None:
    """One legend for all panels, in as many columns as fit the width."""
    handles, labels = axis.get_legend_handles_labels()
    characters = figure.get_figwidth() * 15
    columns = max(1, int(characters // (max(map(len, labels)) + 8)))
    labels = [textwrap.fill(label, int(0.8 * characters)) for label in labels]  # none is cut at the edge
    rows = -(-(len(labels) + sum(label.count("\n") for label in labels)) // columns)
    # Each figure has room for a few rows; more would be taken from the panels, which stay taller than it.
    high = figure.get_figheight() + 0.17 * max(0, rows - 4)
    figure.set_figheight(max(high, 2 * 0.19 * rows + 1.3))
    figure.legend(handles, labels, loc="outside lower left", ncols=min(columns, len(labels)))


def save(figure: Figure, output: Path) -> Path:
    """Write PNG, SVG or PDF by suffix; returns the path."""
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(_STYLE), replacing(output) as file:
            figure.savefig(file, format=output.suffix.removeprefix(".") or None)
    return output
