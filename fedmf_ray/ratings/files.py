"""Any text or Parquet file with named columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import csv_files, parquet_files
from fedmf_ray.ratings.archives import kind_of_file
from fedmf_ray.ratings.columns import Place, Words, comma_is_decimal, identifiers, numbers, times
from fedmf_ray.ratings.csv_files import RECOGNISED, Dialect
from fedmf_ray.ratings.given_split import held_out
from fedmf_ray.ratings.names import Names
from fedmf_ray.ratings.table import Ratings

_SENTINELS = (-999.0, -99.0, -1.0, 0.0, 99.0, 999.0)
"""Values by which files say that there is no rating."""


def load_table(
    path: str | Path,
    columns: Mapping[str, str],
    dialect: Dialect = RECOGNISED,
    decimal: str | None = None,
) -> Ratings:
    """Read ratings; ``columns`` names the columns for user, item, rating and, if there are such, timestamp
    and held_out: which ratings are for the test (:func:`fedmf_ray.ratings.given_split.held_out`).

    Without a timestamp the order of the file is the order in time. Ids are text: they keep their number if
    all of their column are whole numbers, otherwise they are numbered 1, 2, ... by first appearance, and
    ``names`` has their texts (:func:`fedmf_ray.ratings.columns.identifiers`). Files and folders of Parquet
    need pyarrow; anything else is text, compressed or not. What was recognised in it is in ``notes``. Raises
    :class:`FedMFError` with the file, the column and the row of what is wrong; row 1 is the first rating.
    """
    path = Path(path)
    _check_roles(path, columns)
    if not path.exists():
        raise FedMFError(f"{path}: no such ratings file")
    if path.is_dir() or kind_of_file(path) == "Parquet":
        by_role, notes = parquet_files.read(path, columns)
    else:
        whole = [name for role, name in columns.items() if role == "timestamp"]
        by_name, notes = csv_files.read(path, list(columns.values()), whole, dialect)
        by_role = {role: by_name[name] for role, name in columns.items()}
    places = {role: Place(path, name) for role, name in columns.items()}
    ratings = by_role["rating"]
    comma = decimal or "."
    if isinstance(ratings, Words):
        if decimal is None and comma_is_decimal(ratings, places["rating"]):
            comma = ","
            notes.append(f"{path}: numbers have a decimal comma")
        values = numbers(ratings, places["rating"], comma)
    else:
        values = ratings.astype(np.float64)
    users, user_names = identifiers(by_role["user"], places["user"])
    items, item_names = identifiers(by_role["item"], places["item"])
    if "timestamp" in columns:
        timestamps = times(by_role["timestamp"], places["timestamp"], comma)
    else:
        timestamps = np.arange(len(values))
    notes += _sentinels(values, path)
    test = held_out(by_role["held_out"], places["held_out"]) if "held_out" in columns else None
    names = Names(user_names, item_names)
    return Ratings(users, items, values, timestamps, str(path), names, tuple(notes), test)


def _check_roles(path: Path, columns: Mapping[str, str]) -> None:
    name, count = Counter(columns.values()).most_common(1)[0]
    if count > 1:
        roles = " and ".join(role for role, column in columns.items() if column == name)
        raise FedMFError(f"{path}: ratings.columns: {name!r} is named for {roles}")


def _sentinels(values: NDArray[np.float64], path: Path) -> list[str]:
    """A line for each value that looks like a missing rating beside the others."""
    distinct, counts = np.unique(values, return_counts=True)
    scale = distinct[~np.isin(distinct, _SENTINELS)]
    if len(scale) < 2:
        return []
    low, high = float(scale[0]), float(scale[-1])
    lines = []
    for value, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        below = value < low and low >= 0.5
        far = max(low - value, value - high) > high - low
        if value in _SENTINELS and (below or far):
            lines.append(
                f"{path}: {value:g} is the value of {count} of {len(values)} ratings, the others are {low:g} "
                f"to {high:g}: if {value:g} stands for no rating, leave those lines out"
            )
    return lines
