"""Tables in text files: what separates their cells is recognised, and no line gets lost."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.archives import unpacked
from fedmf_ray.ratings.columns import Collector, Integers, Words
from fedmf_ray.ratings.lines import Lines
from fedmf_ray.ratings.names import shortened

Quoting = Literal["line", "multiline", "none"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
DOUBLE_COLON = "::"
"""Between the cells of older MovieLens files."""
_UNIT = "\x1f"
"""What stands for it once lines are read: pandas' fast parser splits at one character."""
_COMMENTS = ("#", "%")
_MOST_COMMENTS = 1000
_ROWS = 1 << 18
_WHOLE = re.compile(r"(?:-?[0-9]{1,19}\n)*-?[0-9]{1,19}")


class Dialect(NamedTuple):
    """How a text file is written; None is what its first lines show.

    header: the names of its columns, if none of its lines has them.
    """

    separator: str | None = None
    encoding: str | None = None
    comment: str | None = None
    quoting: Quoting = "line"
    header: tuple[str, ...] | None = None


RECOGNISED = Dialect()
"""All as the first lines show it."""


class Header(NamedTuple):
    """names: of the columns. separator: of their cells. rows: whether cells with row numbers come first."""

    names: list[str]
    separator: str
    rows: bool


class Wholes:
    """Builds a column of int64 from parts of a file; of words, once a part holds anything else."""

    def __init__(self) -> None:
        self._numbers: list[Integers] | None = []
        self._words = Collector()

    def add(self, cells: NDArray[np.object_]) -> None:
        numbers = None if self._numbers is None else _whole(cells)
        if self._numbers is not None and numbers is not None:
            self._numbers.append(numbers)
            return
        for part in self._numbers or ():
            self._words.add(*_factorized(part.astype(str).astype(object)))
        self._numbers = None
        self._words.add(*_factorized(cells))

    def column(self) -> Words | Integers:
        if self._numbers is None:
            return self._words.words()
        return np.concatenate([np.empty(0, np.int64), *self._numbers])


def _whole(cells: NDArray[np.object_]) -> Integers | None:
    if not _WHOLE.fullmatch("\n".join(cells)):
        return None
    try:
        return np.array(cells.tolist(), np.int64)
    except (ValueError, OverflowError):
        return None


def _factorized(cells: NDArray[np.object_]) -> tuple[Integers, list[str]]:
    codes, words = pd.factorize(cells)
    return codes.astype(np.int64), list(words)


def read(
    path: Path, wanted: Sequence[str], whole: Sequence[str], dialect: Dialect, key: str = "ratings.columns"
) -> tuple[dict[str, Words | Integers], list[str]]:
    """The wanted columns by name, and what was recognised, a line each.

    Columns in ``whole`` come as int64 if all their cells are whole numbers. key: of the scenario, which names
    the columns. Raises :class:`FedMFError`.
    """
    notes: list[str] = []
    if dialect.separator == DOUBLE_COLON:
        dialect = dialect._replace(separator=_UNIT)
    with unpacked(path) as source:
        cut = (DOUBLE_COLON, _UNIT) if dialect.separator == _UNIT else None
        lines = Lines(source, path, dialect.encoding, dialect.comment, cut)
        if dialect.header is None:
            header = _header(lines, path, wanted, dialect, notes, key)
        else:
            header = _told_header(lines, path, wanted, dialect, notes, key)
        if not dialect.encoding and lines.encoding != "utf-8":
            notes.append(f"{path}: read as {lines.encoding.upper()}")
        before = lines.count
        columns, records = _parse(lines, path, header, wanted, whole, dialect)
        count = lines.count - before
    if records != count:
        told = f"{path}: {count} lines make {records} records"
        if dialect.quoting != "multiline":
            near = f" near line {lines.odd_quotes}" if lines.odd_quotes else ""
            raise FedMFError(
                f"{told}: a quoted cell{near} goes over the end of its line: set ratings.quoting to "
                "multiline if cells hold line breaks, or to none if quotes are characters like others"
            )
        notes.append(f"{told} (ratings.quoting: multiline)")
    if lines.comments:
        notes.append(f"{path}: comment lines that were left out: {lines.comments}")
    return columns, notes


def _told_header(
    lines: Lines, path: Path, wanted: Sequence[str], dialect: Dialect, notes: list[str], key: str
) -> Header:
    """Of a file without a line of names: its first line shows what separates its cells."""
    names, first = list(dialect.header or ()), lines.next()
    if first is None:
        raise FedMFError(f"{path}: holds no ratings")
    lines.put_back(first)
    for name in wanted:
        if names.count(name) != 1:
            what = "two columns are" if name in names else "no column is"
            raise FedMFError(f"{path}: ratings.header: {what} named {name!r} ({key})")
    counts = {
        separator: len(_cells(first, separator, dialect.quoting))
        for separator in ([dialect.separator] if dialect.separator else SEPARATORS)
    }
    separator = next((one for one, count in counts.items() if count == len(names)), None)
    if separator is None:
        most = max(counts.values())
        told = f"{path}: ratings.header names {len(names)} columns"
        raise FedMFError(f"{told}, the first line has {most} cells")
    if not dialect.separator and separator != ",":
        notes.append(f"{path}: cells are separated by {SEPARATORS[separator]}")
    return Header(names, separator, rows=False)


def _header(
    lines: Lines, path: Path, wanted: Sequence[str], dialect: Dialect, notes: list[str], key: str
) -> Header:
    """Find the line that names the columns."""
    separators = dialect.separator or "".join(SEPARATORS)
    skipped = 0
    while True:
        line = lines.next()
        if line is None:
            raise FedMFError(f"{path}: cannot be read: no line names columns")
        told = re.fullmatch(r'"?sep=(.)"?', line)
        if told and not skipped:  # the first line of some spreadsheets' exports
            separators = dialect.separator or told[1]
            skipped += 1
            continue
        splits = {separator: names_in(line, separator, dialect.quoting) for separator in separators}
        fitting = [separator for separator in separators if set(wanted) <= set(splits[separator])]
        if fitting:
            break
        if not line.startswith(_COMMENTS) or skipped >= _MOST_COMMENTS:
            names = max(splits.values(), key=len)
            shown = ", ".join(names)[:200]
            missing = next(name for name in wanted if name not in names)
            raise FedMFError(f"{path}: no column {missing!r} ({key}); it has {shown}")
        skipped += 1
    if skipped:
        notes.append(f"{path}: lines above the header that were left out: {skipped}")
    separator = fitting[0]
    if not dialect.separator and separator != ",":
        notes.append(f"{path}: cells are separated by {SEPARATORS.get(separator, repr(separator))}")
    names = splits[separator]
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise FedMFError(f"{path}: two columns are named {twice[0]!r}: name one of them otherwise")
    rows = _numbers_rows(line, lines, separator, len(names))
    if rows:
        notes.append(f"{path}: the first cell of each line is the row's number, as R writes it")
    return Header(names, separator, rows)


def _cells(line: str, separator: str, quoting: Quoting) -> list[str]:
    if quoting == "none":
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=separator != " "), [])
    except (csv.Error, TypeError):
        return [line]


def names_in(line: str, separator: str, quoting: Quoting = "line") -> list[str]:
    """The cells of a line that names columns."""
    cells = _cells(line, separator, quoting)
    return [(cell.strip().strip('"') if quoting == "none" else cell.strip()) for cell in cells]


def _numbers_rows(header: str, lines: Lines, separator: str, columns: int) -> bool:
    """R's write.table gives each row a quoted number in front, and no name to that column."""
    first = lines.next()
    if first is None:
        return False
    lines.put_back(first)
    quoted = header.startswith('"') and first.startswith('"1"')
    return quoted and len(_cells(first, separator, "line")) == columns + 1


def _parse(
    lines: Lines, path: Path, header: Header, wanted: Sequence[str], whole: Sequence[str], dialect: Dialect
) -> tuple[dict[str, Words | Integers], int]:
    """The wanted columns, and how many records there are."""
    first = int(header.rows)
    places = {name: header.names.index(name) + first for name in wanted}
    surplus = len(header.names) + first  # cells behind the last named column
    numbers = {places[name]: Wholes() for name in whole}
    words = {at: Collector() for at in {*places.values(), surplus, *range(first)} - {*numbers}}
    records = 0
    try:
        with warnings.catch_warnings():
            # Longer rows than the header: pandas would drop cells or move all of them by one column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            source: Any = lines
            chunks: Any = pd.read_csv(
                source, sep=header.separator, header=None, names=[*range(surplus + 1)], index_col=False,
                dtype=object, na_filter=False, skipinitialspace=header.separator != " ", engine="c",
                quoting=csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL, chunksize=_ROWS,
            )  # fmt: skip
            for chunk in chunks:
                for at, collector in words.items():
                    collector.add(*_factorized(chunk[at].to_numpy(object)))
                for at, column in numbers.items():
                    column.add(chunk[at].to_numpy(object))
                records += len(chunk)
    except pd.errors.EmptyDataError:
        raise FedMFError(f"{path}: holds no ratings") from None
    except pd.errors.ParserWarning:
        raise _too_long(path) from None
    except pd.errors.ParserError as error:
        raise _malformed(path, error, lines) from error
    except (ValueError, OverflowError) as error:
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    beyond = words[surplus].words()
    if any(beyond.words):
        row = int(np.argmax(beyond.codes == next(at for at, word in enumerate(beyond.words) if word))) + 1
        raise _too_long(path, f"row {row}")
    if header.rows and words[0].words().words != [str(row + 1) for row in range(records)]:
        raise _too_long(path)
    found: dict[str, Words | Integers] = {}
    for name, at in places.items():
        found[name] = words[at].words() if at in words else numbers[at].column()
    return found, records


def _too_long(path: Path, who: str = "rows") -> FedMFError:
    has = "have" if who == "rows" else "has"
    return FedMFError(
        f"{path}: {who} {has} more cells than the header: name every column, or check the separator "
        "(ratings.separator) and the quotes (ratings.quoting)"
    )


def _malformed(path: Path, error: Exception, lines: Lines) -> FedMFError:
    reason = " ".join(str(error).split())
    if found := re.search(r"Expected \d+ fields in line (\d+)", reason):
        return _too_long(path, f"row {found[1]}")
    if "EOF inside string" in reason:
        near = f" in line {lines.odd_quotes}" if lines.odd_quotes else ""
        return FedMFError(
            f"{path}: a quote{near} is never closed: set ratings.quoting to none if quotes are characters "
            "like others"
        )
    return FedMFError(f"{path}: cannot be read: {shortened(reason)}")
