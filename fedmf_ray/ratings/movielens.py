"""The MovieLens data sets (https://grouplens.org/datasets/movielens/): names, formats, the local cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from platformdirs import user_cache_path

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.table import Ratings

HEADER = ["userId", "movieId", "rating", "timestamp"]
_COLUMNS = ["user", "item", "rating", "timestamp"]
_KINDS = [np.int32, np.int32, np.float32, np.int64]
"""All values of these data sets fit; ml-32m takes half the memory of pandas' defaults while it loads."""
_RATING_BYTES, _OTHER_BYTES = 64, 1 << 25
"""No archive holds more than this for each rating, and beside them."""


@dataclass(frozen=True)
class DataSet:
    """One published data set.

    folder: what its archive unpacks to. ratings_file: inside that folder. ratings: how many it holds.
    """

    name: str
    folder: str
    ratings_file: str
    ratings: int

    @property
    def titles_file(self) -> str:
        return {".csv": "movies.csv", ".dat": "movies.dat", ".data": "u.item"}[Path(self.ratings_file).suffix]

    @property
    def archive(self) -> str:
        return f"{self.name}.zip"

    @property
    def most_bytes(self) -> int:
        """More than all of its files have together, unpacked."""
        return self.ratings * _RATING_BYTES + _OTHER_BYTES

    @property
    def separator(self) -> str:
        return {".csv": ",", ".dat": "::", ".data": "\t"}[Path(self.ratings_file).suffix]

    @property
    def header(self) -> bool:
        return self.separator == ","


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet("ml-latest-small", "ml-latest-small", "ratings.csv", 100_836),
        DataSet("ml-100k", "ml-100k", "u.data", 100_000),
        DataSet("ml-1m", "ml-1m", "ratings.dat", 1_000_209),
        DataSet("ml-10m", "ml-10M100K", "ratings.dat", 10_000_054),
        DataSet("ml-25m", "ml-25m", "ratings.csv", 25_000_095),
        DataSet("ml-32m", "ml-32m", "ratings.csv", 32_000_204),
    )
}


def data_set(name: str) -> DataSet:
    try:
        return DATA_SETS[name]
    except KeyError:
        raise FedMFError(f"{name}: no such data set: one of {', '.join(DATA_SETS)}") from None


def cache_folder() -> Path:
    """``FEDMF_DATA``, else ``fedmf-ray`` in the user's cache folder."""
    if chosen := os.environ.get("FEDMF_DATA"):
        return Path(chosen).expanduser().absolute()
    return user_cache_path("fedmf-ray", appauthor=False)


def load(name: str, cache: Path) -> Ratings:
    """Read a data set from the cache; raises :class:`FedMFError` saying how to fetch it.

    All of its ratings must be there, and the last line whole.
    """
    wanted = data_set(name)
    path = cache / wanted.folder / wanted.ratings_file
    if not os.access(path, os.R_OK):
        raise _not_here(path, name)
    again = (
        f"move {path.parent} away and run `fedmf-ray data fetch {name}`, or read a part of the data set with "
        "ratings.source: file"
    )
    try:
        frame, whole = _read(path, wanted), ends_with_a_line(path)
    except (OSError, ValueError, OverflowError) as error:
        raise FedMFError(f"{path}: is not {name}: {' '.join(str(error).split())[:200]}: {again}") from error
    if len(frame) != wanted.ratings:
        count = f"{len(frame):,}" if len(frame) < wanted.ratings else "more"
        raise FedMFError(f"{path}: holds {count} ratings, {name} has {wanted.ratings:,}: {again}")
    if not whole:
        raise FedMFError(f"{path}: its last line has no end, so the file was cut off: {again}")
    columns = [frame[column].to_numpy(np.int64) for column in ("user", "item", "timestamp")]
    return Ratings(columns[0], columns[1], frame["rating"].to_numpy(np.float64), columns[2], str(path))


def titles(name: str, cache: Path) -> dict[int, str]:
    """Title by item of a data set in the cache; raises :class:`FedMFError` saying how to fetch it."""
    wanted = data_set(name)
    path = cache / wanted.folder / wanted.titles_file
    separator = "|" if wanted.titles_file == "u.item" else wanted.separator
    try:
        if wanted.header:
            names = ["movieId", "title"]
            table = pd.read_csv(path, usecols=names, keep_default_na=False)  # a film may be called "Null"
            rows = table[names].to_numpy().tolist()
        else:  # older sets are in Latin-1, and quote nothing
            lines = path.read_text(encoding="latin-1").split("\n")
            rows = [line.split(separator)[:2] for line in lines if line]
        return {int(item): str(title) for item, title in rows}
    except OSError:
        raise _not_here(path, name) from None
    except ValueError as error:
        raise FedMFError(f"{path}: is not a list of titles: {error}") from error


def _not_here(path: Path, name: str) -> FedMFError:
    return FedMFError(
        f"{path}: not here: run `fedmf-ray data fetch {name}`, or point FEDMF_DATA at a copy's parent"
    )


def ends_with_a_line(path: Path) -> bool:
    """Whether the last line is whole: a file that was cut off ends in the middle of a number."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read(path: Path, wanted: DataSet) -> pd.DataFrame:
    most = wanted.ratings + 1
    if wanted.header:
        with path.open(errors="replace") as file:
            names = [name.strip('"') for name in file.readline(1000).strip().split(",")]
        if any(names.count(name) > 1 for name in HEADER):
            raise ValueError("two of its columns have one name")
        kinds_by_name = dict(zip(HEADER, _KINDS, strict=True))
        frame = pd.read_csv(path, usecols=HEADER, dtype=kinds_by_name, nrows=most)
        return frame[HEADER].set_axis(_COLUMNS, axis=1)  # in this order, whatever the file's is
    # pandas' fast parser splits at one character: "::" is then ":" with an empty column behind it.
    step = len(wanted.separator)
    places = range(0, 4 * step, step)
    kinds = dict(zip(places, _KINDS, strict=True))
    separator = wanted.separator[0]
    return pd.read_csv(path, sep=separator, header=None, usecols=places, dtype=kinds, nrows=most).set_axis(
        _COLUMNS, axis=1
    )
