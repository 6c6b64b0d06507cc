"""What a file of ratings holds, guessed from names and first lines, for people who bring their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import csv_files, files, parquet_files
from fedmf_ray.ratings.archives import kind_of_file, unpacked
from fedmf_ray.ratings.lines import Lines
from fedmf_ray.ratings.scale import Scale, inferred
from fedmf_ray.ratings.table import Ratings

ROLES = ("user", "item", "rating", "timestamp")

_NAMES = {
    "user": "user userid uid username reviewer reviewerid reader readerid customer customerid member "
    "memberid person visitor visitorid account accountid client clientid profile profileid "
    "viewer listener player u",
    "item": "item itemid iid movie movieid film filmid book bookid isbn product productid asin article "
    "articleid song songid track trackid artist artistid game gameid anime animeid business "
    "businessid recipe recipeid show showid course courseid beer beerid joke jokeid wine wineid "
    "tea place placeid i",
    "rating": "rating ratings score stars star overall value points grade mark bookrating userrating "
    "reviewscore preference points rate r",
    "timestamp": "timestamp time date datetime ts unixtime unixreviewtime reviewtime created createdat "
    "ratedat dateadded when",
    "title": "title name itemname itemtitle movietitle booktitle productname producttitle label",
}
"""Names of columns without case, spaces and signs, the likeliest first."""

_FOLDERS = (("ratings.csv", "movies.csv"), ("ratings.dat", "movies.dat"), ("u.data", "u.item"))
"""Files of the MovieLens data sets: ratings, titles."""
_ITEMS_ALONE = {"movies.dat": ["item", "title", "genres"]}


@dataclass(frozen=True)
class Table:
    """A file, and how its source has to read it. columns: by role. keys: of the source beside ``path`` and
    ``columns``, where the file does not show them."""

    path: Path
    columns: Mapping[str, str]
    keys: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspected:
    """ratings: all of them. table: where they are. scale: of all. fewest: ratings of the user with the least.
    some_user: an id as the file has it."""

    ratings: Ratings
    table: Table
    scale: Scale
    users: int
    items: int
    fewest: int
    some_user: str

    @property
    def timed(self) -> bool:
        return "timestamp" in self.table.columns


def inspect(path: Path, told: Mapping[str, str]) -> Inspected:
    """Look at a file of ratings. told: names of columns by role, where guessing is not wanted.

    Raises :class:`FedMFError` in one line if it cannot be read, if a column cannot be guessed, or for what
    loading refuses, such as a pair that is rated twice.
    """
    table = ratings_table(path, told)
    header, separator = table.keys.get("header"), table.keys.get("separator")
    dialect = csv_files.Dialect(
        separator=str(separator) if separator else None,
        header=tuple(header) if isinstance(header, list) else None,
    )
    ratings = files.load_table(table.path, table.columns, dialect)
    users, counts = np.unique(ratings.user_ids, return_counts=True)
    busy = int(users[int(np.argmax(counts))])
    return Inspected(
        ratings,
        table,
        inferred(ratings.values),
        len(users),
        len(np.unique(ratings.item_ids)),
        int(counts.min()),
        ratings.names.user(busy),
    )


def ratings_table(path: Path, told: Mapping[str, str]) -> Table:
    """Which columns of a file are which, by their names; of a folder, its file of ratings."""
    if path.is_dir():
        found = next((path / name for name, _ in _FOLDERS if (path / name).is_file()), None)
        if found is not None:
            path = found
    names, keys = _names_of(path, ROLES)
    for role, name in told.items():
        if name not in names:
            raise FedMFError(f"{path}: --{role} {name}: no such column; it has {', '.join(names)[:200]}")
    columns = dict(told)
    for role in ROLES:
        if role not in columns:
            guess = guessed(role, [name for name in names if name not in columns.values()])
            if guess is not None:
                columns[role] = guess
            elif role != "timestamp":
                shown = ", ".join(names)[:200]
                raise FedMFError(
                    f"{path}: which column holds the {role}s is not clear from their names ({shown}): "
                    f"say it, as in --{role} {names[0]}"
                )
    return Table(path, {role: columns[role] for role in ROLES if role in columns}, keys)


def titles_table(ratings: Path, path: Path | None, item: str) -> Table | None:
    """Where titles are: a file that was named, or the one that lies beside the ratings of a MovieLens set.

    item: what the ratings call the column of items. Raises :class:`FedMFError` if a named file has no column
    that may hold titles.
    """
    if path is None:
        beside = dict(_FOLDERS).get(ratings.name)
        if beside not in ("movies.csv", "movies.dat") or not (ratings.parent / beside).is_file():
            return None
        path = ratings.parent / beside
    if path.name in _ITEMS_ALONE:
        keys: dict[str, object] = {
            "separator": "::",
            "header": _ITEMS_ALONE[path.name],
            "encoding": "latin-1",
        }
        return Table(path, {"item": "item", "title": "title"}, {**keys, "quoting": "none"})
    names, _ = _names_of(path, ())
    ids = item if item in names else guessed("item", names)
    title = guessed("title", [name for name in names if name != ids])
    if ids is None or title is None:
        raise FedMFError(
            f"{path}: which columns hold the items' ids and titles is not clear from their names "
            f"({', '.join(names)[:200]}): rename them to item and title"
        )
    return Table(path, {"item": ids, "title": title})


def _names_of(path: Path, roles: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """Names of a file's columns. Of a file whose first line holds numbers alone they are ``roles``, in order,
    and the source must be told so."""
    if not path.exists():
        raise FedMFError(f"{path}: no such file")
    if path.is_dir() or kind_of_file(path) == "Parquet":
        return parquet_files.column_names(path), {}
    cells, separator = _first_cells(path)
    keys: dict[str, object] = {"separator": separator} if separator == csv_files.DOUBLE_COLON else {}
    numbers = all(re.fullmatch(r"-?[0-9.]+", cell) for cell in cells)
    if roles and numbers and 3 <= len(cells) <= len(roles):
        names = list(roles[: len(cells)])
        return names, {**keys, "header": names}
    return cells, keys


def guessed(role: str, names: Sequence[str]) -> str | None:
    """Which of some columns has a role, by its name."""
    plain = {re.sub("[^a-z]", "", name.lower()): name for name in reversed(names)}
    return next((plain[known] for known in _NAMES[role].split() if known in plain), None)


def _first_cells(path: Path) -> tuple[list[str], str]:
    """The cells of the first line that is no comment, and what separates them: the separator that cuts it
    into most cells. Raises :class:`FedMFError` if there is no line."""
    with unpacked(path) as source:
        lines = Lines(source, path, None, None, None)
        line = lines.next()
        while line is not None and (line.startswith(("#", "%")) or re.fullmatch(r'"?sep=(.)"?', line)):
            line = lines.next()
    if line is None:
        raise FedMFError(f"{path}: holds no lines")
    if csv_files.DOUBLE_COLON in line:
        return [cell.strip() for cell in line.split(csv_files.DOUBLE_COLON)], csv_files.DOUBLE_COLON
    cells = {separator: csv_files.names_in(line, separator) for separator in csv_files.SEPARATORS}
    separator = max(csv_files.SEPARATORS, key=lambda one: len(cells[one]))
    return cells[separator], separator
