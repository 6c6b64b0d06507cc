"""A column of text, and what ids, ratings and times its words are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.names import shortened

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LARGEST = (1 << 63) - 1

_WHOLE = re.compile(r"(0|[1-9][0-9]{0,18})(\.0+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


class Words(NamedTuple):
    """Text by row. codes: (rows,) int64, which word. words: distinct ones, by first appearance.

    Spaces around a word do not count.
    """

    codes: Integers
    words: list[str]

    def row(self, word: int) -> int:
        """The first row that has a word, counted from 1."""
        return int((self.codes == word).argmax()) + 1


class Collector:
    """Builds a column of words from parts of a file."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes: list[Integers] = []

    def add(self, codes: Integers, words: Iterable[str]) -> None:
        """Rows that each have the word at their code; words are distinct, by first appearance."""
        known = self._known
        numbers = np.array([known.setdefault(word.strip(), len(known)) for word in words], np.int64)
        self._codes.append(numbers[codes])

    def words(self) -> Words:
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int64)
        return Words(codes, list(self._known))


class Place(NamedTuple):
    """Where a column is, for messages."""

    path: Path
    column: str

    def wrong(self, row: int, what: str) -> FedMFError:
        """An error about a row, counted from 1."""
        return FedMFError(f"{self.path}: row {row}, column {self.column!r}: {what}")

    def check_filled(self, column: Words) -> None:
        if "" in column.words:
            raise self.wrong(column.row(column.words.index("")), "is empty")


def identifiers(column: Words | Integers | Floats, place: Place) -> tuple[Integers, list[str]]:
    """Ids as numbers, and what each number k stands for at k - 1 if they are text.

    The number of an id is the id itself if all ids of the column are whole numbers from 0 to 2**63 - 1 that
    are written in one way: no zeros in front, and as many behind a point in each (``5``, or ``5.0``).
    Otherwise distinct texts are numbered 1, 2, ... by first appearance, so that ``7`` and ``007`` are two.
    """
    if not isinstance(column, Words):
        return column.astype(np.int64), []
    place.check_filled(column)
    found = [_WHOLE.fullmatch(word) for word in column.words]
    numbers = [int(one[1]) for one in found if one]
    alike = len(numbers) == len(found) and len({one[2] for one in found if one}) <= 1
    if alike and max(numbers, default=0) <= LARGEST:
        return np.array(numbers, np.int64)[column.codes], []
    return column.codes + 1, column.words


def comma_is_decimal(column: Words, place: Place) -> bool:
    """Whether numbers have a decimal comma: those with a comma cannot be read otherwise."""
    commas = [word for word in column.words if _COMMA.fullmatch(word)]
    if not commas or any("." in word for word in column.words):
        return False
    if all(_THOUSANDS.fullmatch(word) for word in commas):
        raise place.wrong(
            column.row(column.words.index(commas[0])),
            f"{commas[0]!r} may be a thousand or a decimal: set ratings.decimal to ',' or write it otherwise",
        )
    return True


def numbers(column: Words, place: Place, decimal: str = ".") -> Floats:
    """Finite numbers; anything else is an error that names its row."""
    place.check_filled(column)
    values = np.empty(len(column.words))
    for at, word in enumerate(column.words):
        text = _pointed(word, decimal)
        values[at] = float(text) if _NUMBER.fullmatch(text) else np.nan
    finite = np.isfinite(values)
    if not finite.all():
        at = int(np.argmin(finite))
        raise place.wrong(column.row(at), f"{shortened(column.words[at])} is not a finite number")
    return values[column.codes]


def _pointed(word: str, decimal: str) -> str:
    """With a decimal point; a point that is none makes it no number."""
    return word.replace(".", "?").replace(",", ".") if decimal == "," and "," in word else word


def times(column: Words | Floats | Integers, place: Place, decimal: str = ".") -> Integers:
    """Whole numbers as they are; other numbers and ISO dates by their rank, because only the order matters.

    Compared as they are written, not as floating-point numbers. Dates need no time and no zone; those
    without a zone are compared among each other only.
    """
    if not isinstance(column, Words):
        if column.dtype == np.int64:
            return column.astype(np.int64)
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    place.check_filled(column)
    keys = [_time(word, decimal) for word in column.words]
    if None in keys:
        at = keys.index(None)
        what = f"{shortened(column.words[at])} is neither a number nor a date like 2024-12-31 23:59:59"
        raise place.wrong(column.row(at), what)
    known = [key for key in keys if key is not None]
    kinds = [kind for kind, *_ in known]
    if len(set(kinds)) > 1:
        at = next(at for at, kind in enumerate(kinds) if kind != kinds[0])
        what = f"{shortened(column.words[at])} cannot be compared with {shortened(column.words[0])}"
        raise place.wrong(column.row(at), f"{what}: numbers, dates, or dates with a time zone, but one kind")
    if known and kinds[0] == "number" and all(_whole(number) for _, number, _ in known):
        return np.array([int(number) for _, number, _ in known], np.int64)[column.codes]
    ranks = {key: rank for rank, key in enumerate(sorted(set(known)))}
    return np.array([ranks[key] for key in known], np.int64)[column.codes]


def _whole(number: Decimal) -> bool:
    """Whether it was written as a whole number that fits."""
    return number.as_tuple().exponent == 0 and -LARGEST <= number <= LARGEST


def _time(word: str, decimal: str) -> tuple[str, Decimal, str] | None:
    """What it is; a number or seconds; the digits of a fraction of a second."""
    text = _pointed(word, decimal)
    if _NUMBER.fullmatch(text):
        return "number", Decimal(text), ""
    found = _DATE.fullmatch(word)
    if not found:
        return None
    *parts, fraction, zone = found.groups()
    try:
        when = datetime(*(int(part or 0) for part in parts))  # type: ignore[arg-type]
        if zone and zone != "Z":
            sign, hours, minutes = zone[0], int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
            offset = timedelta(hours=hours, minutes=minutes)
            when = when - offset if sign == "+" else when + offset
    except (ValueError, OverflowError):
        return None
    seconds = (when - datetime(1, 1, 1)) // timedelta(seconds=1)
    return "date with a zone" if zone else "date", Decimal(seconds), (fraction or "").rstrip("0")
