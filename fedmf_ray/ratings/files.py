"""Any CSV or Parquet file with named columns."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.table import Ratings


def load_table(path: str | Path, columns: Mapping[str, str]) -> Ratings:
    """Read ratings; ``columns`` names the columns for user, item, rating and, if there is one, timestamp.

    Without a timestamp the order of the file is the order in time. Identifiers that are not whole
    numbers (or negative, or over 63 bits) are numbered 1, 2, ... by first appearance. A file whose name
    ends in ``.parquet`` is Parquet (needs pyarrow), anything else is CSV, compressed or not. Raises
    :class:`FedMFError` with the file, the column and the row of what is wrong; row 1 is the first rating.
    """
    path = Path(path)
    wanted = list(columns.values())
    frame = _read(path)
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise FedMFError(
            f"{path}: no column {missing[0]!r} (ratings.columns); it has {', '.join(map(str, frame))}"
        )
    values = _numbers(frame[columns["rating"]], path)
    if "timestamp" in columns:
        timestamps = _times(frame[columns["timestamp"]], path)
    else:
        timestamps = np.arange(len(frame))
    return Ratings(_identifiers(frame[columns["user"]], path), _identifiers(frame[columns["item"]], path),
                   values, timestamps, str(path))  # fmt: skip


def _read(path: Path) -> pd.DataFrame:
    try:
        if not path.is_file():
            raise FedMFError(f"{path}: no such ratings file")
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would drop cells, or without index_col=False move all
            # of them by one column, so that items pass for users.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # One type a column: by chunks, pandas would read 12 as a number here and as a word there.
            return pd.read_csv(path, low_memory=False, index_col=False)
    except pd.errors.ParserWarning:
        raise FedMFError(f"{path}: rows have more cells than the header: name every column") from None
    except ImportError:
        raise FedMFError(f"{path}: Parquet needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:  # parsing errors are ValueErrors
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def _numbers(column: pd.Series, path: Path) -> NDArray[np.float64]:
    """Finite numbers; an empty cell, a word or an infinity is an error that names its row."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    good = np.isfinite(numbers) & column.notna().to_numpy()  # an empty date becomes a number
    if not good.all():
        at = int(np.argmin(good))
        raise FedMFError(
            f"{path}: row {at + 1}, column {column.name!r}: {str(column.iloc[at])!r} is not a finite number"
        )
    return numbers


def _times(column: pd.Series, path: Path) -> NDArray[np.int64]:
    """Whole numbers as they are; anything else by its rank, because only the order matters."""
    if pd.api.types.is_signed_integer_dtype(column) and not column.isna().any():
        return column.to_numpy(np.int64)
    return np.unique(_numbers(column, path), return_inverse=True)[1].astype(np.int64)


def _identifiers(column: pd.Series, path: Path) -> NDArray[np.int64]:
    if column.isna().any():
        at = int(column.isna().to_numpy().argmax())
        raise FedMFError(f"{path}: row {at + 1}, column {column.name!r}: is empty or NA")
    whole = pd.api.types.is_integer_dtype(column) and len(column) > 0
    if whole and column.min() >= 0 and column.max() <= np.iinfo(np.int64).max:
        return column.to_numpy(np.int64)
    return pd.factorize(column)[0].astype(np.int64) + 1
