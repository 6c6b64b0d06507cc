"""One look for all pictures: sizes of a two-column paper, colours and dashes that survive grey print."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

COLUMN_INCHES = 3.5
PAGE_INCHES = 7.2

_COLOURS = ("#0b3c6f", "#d9601a", "#2a9d8f", "#8a4fa3", "#b8a000", "#555555")
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=_COLOURS) + cycler(linestyle=_DASHES),
    "savefig.dpi": 200,
    "svg.fonttype": "none",
}


def new_figure(width: float = PAGE_INCHES, height: float = 2.8, panels: int = 1) -> tuple[Figure, list[Any]]:
    """A figure and its panels side by side; drawn without a display."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def save(figure: Figure, output: Path) -> Path:
    """Write PNG, SVG or PDF by suffix; returns the path."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure.savefig(output)
    return output


def series_styles() -> Any:
    """The same order of colours and dashes in every panel."""
    return cycle({"color": colour, "linestyle": dash} for colour, dash in zip(_COLOURS, _DASHES, strict=True))
