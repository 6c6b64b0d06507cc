"""Tables as a caller gives them: frames with certain columns, or rows of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import pandas as pd


def read_exactly(path: Path) -> pd.DataFrame:
    """A CSV table whose numbers have the bits that were written. Raises what pandas does."""
    import pandas as pd

    exact: dict[str, Any] = {}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):  # by default since then, and no argument
        exact["float_precision"] = "round_trip"
    table: pd.DataFrame = pd.read_csv(path, **exact)
    return table


def frame_of(table: Any, name: str, needed: Sequence[str]) -> pd.DataFrame:
    """A DataFrame of what a caller gave: a frame (of pandas, or one with ``to_pandas``), or rows of values.

    Raises :class:`FedMFError` that says which columns there are, which are needed, and how to rename.
    """
    import pandas as pd

    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if isinstance(table, pd.DataFrame):
        _check_columns(table, name, needed)
        return table
    try:
        rows = pd.DataFrame(table if isinstance(table, dict | np.ndarray) else list(table))
    except (TypeError, ValueError) as error:
        raise FedMFError(
            f"{name}: {type(table).__name__} is no table: give a DataFrame with {', '.join(needed)}"
        ) from error
    if isinstance(table, dict):
        _check_columns(rows, name, needed)
        return rows
    if rows.empty:
        return pd.DataFrame({column: [] for column in needed})
    if rows.shape[1] != len(needed):
        raise FedMFError(
            f"{name}: rows have {rows.shape[1]} values: give ({', '.join(needed)}) each, or a DataFrame with "
            "these columns"
        )
    return rows.set_axis(list(needed), axis=1)


def _check_columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in table.columns]
    if missing:
        from fedmf_ray.ratings.inspecting import guessed

        others = [column for column in table.columns if column not in needed]
        renamed = {}
        for column in missing:
            guess = guessed(column, [str(other) for other in others])
            if guess is None and len(missing) == len(others) == 1:
                guess = str(others[0])
            renamed[guess or f"the column of the {column}s"] = column
        if "rating" in needed and "timestamp" not in table.columns:  # which would be asked for next
            times = guessed("timestamp", [str(other) for other in others if other not in renamed])
            renamed |= {times: "timestamp"} if times else {}
        has = ", ".join(map(str, table.columns))[:200]
        raise FedMFError(
            f"{name}: no column {', '.join(map(repr, missing))}; it has {has}; needed are "
            f"{', '.join(needed)}: rename them: {name}.rename(columns={renamed})"
        )
    twice = [column for column in needed if list(table.columns).count(column) > 1]
    if twice:
        raise FedMFError(f"{name}: two columns are named {twice[0]!r}: drop one of them")
