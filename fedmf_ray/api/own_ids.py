"""Ids as the caller's data have them, and where they stand in a run: text stays text, numbers numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.api.unknown import UnknownIdError

Integers = NDArray[np.int64]

_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
_SHOWN = 60


class OwnIds:
    """The ids of all users, or of all items, in the order of their positions.

    kind: ``user`` or ``item``, for messages. index: (n,) the ids themselves.
    """

    def __init__(
        self, kind: str, numbers: Sequence[int] | Integers, texts: Sequence[str], text: bool
    ) -> None:
        """numbers: as the run has them. texts: of the file, for number k at k - 1; empty if ids are numbers.
        text: numbers were handed over as text."""
        import pandas as pd

        self.kind = kind
        self._text = bool(len(texts)) or text
        if len(texts):
            self.index = pd.Index([texts[number - 1] for number in numbers], dtype=object)
        elif isinstance(numbers, range):
            self.index = pd.RangeIndex(numbers.start, numbers.stop, numbers.step)
        else:
            self.index = pd.Index(np.asarray(numbers, np.int64))
        if text and not len(texts):
            self.index = pd.Index([str(number) for number in numbers], dtype=object)

    def positions(self, values: Any) -> Integers:
        """(n,) where these ids are; -1 where there is no such one. ``7``, ``7.0`` and ``"7"`` are one id."""
        import pandas as pd

        found = pd.Index(values) if not isinstance(values, pd.Series) else pd.Index(values.array)
        if self._text:
            wanted = pd.Index([as_text(value) for value in found], dtype=object)
        elif pd.api.types.is_integer_dtype(found.dtype) and not found.hasnans:
            wanted = found
        else:
            texts = (as_text(value) for value in found)
            wanted = pd.Index([int(text) if _WHOLE.fullmatch(text) else -1 for text in texts], dtype=object)
        positions: Integers = self.index.get_indexer(wanted).astype(np.int64)
        return positions

    def known(self, values: Any, path: object) -> Integers:
        """:meth:`positions`; raises :class:`UnknownIdError` naming the first that is not there, and how many
        are not."""
        values = list(values) if not hasattr(values, "__array__") else values
        positions = self.positions(values)
        missing = np.flatnonzero(positions < 0)
        if len(missing):
            raise self.unknown(list(values)[int(missing[0])], path, len(set(missing.tolist())))
        return positions

    def unknown(self, value: object, path: object, count: int = 1) -> UnknownIdError:
        """The error for an id that is not there. count: of places where one is missing."""
        first, last = self.index[0], self.index[-1]
        more = f" (and {count - 1} more of the pairs)" if count > 1 else ""
        return UnknownIdError(
            f"{path}: has no {self.kind} {_shown(value)}{more}: it has {len(self.index)} {self.kind}s, "
            f"{_shown(first)} to {_shown(last)}"
        )


def as_text(value: Any) -> str:
    """An id as a file has it: whole numbers without a point."""
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(number)
    return str(value).strip()


def _shown(value: Any) -> str:
    text = repr(value.item() if hasattr(value, "item") else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
