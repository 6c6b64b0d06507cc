"""Test errors of a study over what it swept: a heat map over two keys of numbers, a line over one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, new_figure, series_styles, styled
from fedmf_ray.report.names import PROTECTION
from fedmf_ray.report.pictures import TooMuchError, picture
from fedmf_ray.report.ranking import REPEATS
from fedmf_ray.report.runs import Study, need
from fedmf_ray.report.series import plain_ticks, spread, varied

_MOST = 16
"""Values of one key that a heat map can show."""

_MOST_IN_WORDS = 8
"""Columns in which an error has room as a number, on a page."""


def over_two(table: pd.DataFrame) -> pd.DataFrame:
    """Mean test error of the last round by two swept keys, the first one down; needs exactly two.

    Folds and seeds are averaged. Raises :class:`FedMFError` if other than two keys have several values.
    """
    keys, last = _last(table)
    if len(keys) != 2:
        raise FedMFError(f"a heat map is over two swept keys, and these vary: {', '.join(keys) or 'none'}")
    return last.pivot_table(index=keys[0], columns=keys[1], values="test_rmse", aggfunc="mean")


@styled
def heat_map(table: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """Test error over two swept keys: dark is small; numbers where there is room for them."""
    grid = over_two(table)
    if max(grid.shape) > _MOST:
        raise TooMuchError(
            f"The heat map of test errors is left out: {grid.shape} values. The table has them."
        )
    figure, (axis,) = new_figure(width, 1.2 + 0.32 * len(grid))
    image = axis.imshow(grid.to_numpy(float), cmap="viridis", aspect="auto")
    axis.set_xticks(range(grid.shape[1]), [_shown(value) for value in grid.columns])
    axis.set_yticks(range(grid.shape[0]), [_shown(value) for value in grid.index])
    if max(len(_shown(value)) for value in grid.columns) * grid.shape[1] > 11 * width:
        axis.tick_params(axis="x", rotation=90)
    axis.set_xlabel(str(grid.columns.name))
    axis.set_ylabel(str(grid.index.name).rpartition(".")[2])
    axis.set_title("test RMSE after the last round")
    axis.grid(visible=False)
    bar = figure.colorbar(image, ax=axis)
    bar.ax.set_ylabel("test RMSE")
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    if grid.shape[1] <= _MOST_IN_WORDS * width / PAGE_INCHES:
        values = grid.to_numpy(float)
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                colour = "white" if value < middle else "black"
                axis.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=6.5)
    return figure


@styled
def error_over(table: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """Test error of the last round over the one swept key of numbers, with deviations of folds and seeds."""
    keys, last = _last(table)
    if len(keys) != 1 or not pd.api.types.is_numeric_dtype(last[keys[0]]):
        raise FedMFError("test errors are drawn over one swept key of numbers")
    found = last.groupby(keys[0])["test_rmse"].agg(["mean", "std"])
    figure, (axis,) = new_figure(width, 2.8)
    axis.errorbar(found.index, found["mean"], yerr=found["std"].fillna(0), marker="o", markersize=3.5,
                  capsize=2, **series_styles(1)[0])  # fmt: skip
    axis.set_xlabel(keys[0])
    axis.set_title("test RMSE after the last round")
    if spread([float(value) for value in found.index]):
        axis.set_xscale("log")
        plain_ticks(axis.xaxis, most=5)
    return figure


def _last(table: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """The keys that change settings, and the last round of each cell that has a test error."""
    need(table, ["test_rmse"])
    found = table.dropna(subset=["test_rmse"])
    if found.empty:
        raise FedMFError("no cell has a test error to draw")
    keys = [key for key in varied(found) if key not in REPEATS]
    if set(keys) & set(PROTECTION):
        raise FedMFError("protection changes no error: the table of settings says so")
    return keys, found.sort_values("round").groupby("cell").tail(1)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else repr(value).strip("'")


@picture("Test error over the two swept keys.", study=5, broad=True)
def errors_over_two_keys(study: Study, width: float) -> Figure:
    return heat_map(study.ended, width)


@picture("Test error over the swept key.", study=6)
def errors_over_one_key(study: Study, width: float) -> Figure:
    return error_over(study.ended, width)
