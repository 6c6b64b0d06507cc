"""The servers' side of a scheme: sums of protected rows and of tags, from public values alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import Closed

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]


class Aggregate:
    """A sum of protected rows in the making. repeats: whether :meth:`add_all` takes several uploads, whose
    rows may be the same. at_once: bytes of uploads that it is given; where they are copied for it, more would
    leave a core's cache before they are added."""

    repeats: bool = False
    at_once: int = 1 << 18

    def add(self, rows: Integers, wire: Wire) -> None:
        """Add protected rows to the given rows of the sum.

        Raises ``ValueError`` with the reason if a ciphertext is malformed; nothing is added then.
        """
        raise NotImplementedError

    def add_all(self, rows: Integers, wires: Sequence[Wire]) -> None:
        """The rows of several uploads, one after the other; all or none."""
        self.add(rows, wires[0] if len(wires) == 1 else np.concatenate(wires))

    def wire(self) -> Wire:
        """The sum as it stands, or as it was opened."""
        raise NotImplementedError

    def closing(self) -> Any:
        """What an opener needs of this sum, for schemes that say ``opens``."""

    def hold(self, sums: Any, same: Any) -> Any:
        """Keep what :meth:`closing` gave in the memory of an equal one, which others read as well: what to
        answer from now on. sums: the former; same: the latter."""
        return sums

    def open(self, opening: Any) -> None:
        """Take an opener's answer, for schemes that say ``opens``."""
        raise NotImplementedError

    def partial(self, rows: Integers) -> Any:
        """What has been added to these rows since the sum started from zeros, for :meth:`merge` elsewhere."""
        return self.wire()[rows]

    def merge(self, rows: Integers, partial: Any) -> None:
        """Add what :meth:`partial` gave."""
        self.add(rows, partial)


class Evaluator:
    """The server's side: public values only, validates and adds. Subclasses pickle."""

    def aggregate(self, wire: Wire) -> Aggregate:
        """Start a sum from protected rows."""
        raise NotImplementedError

    def tags(self, tag: Wire) -> Tags:
        """Start a sum of tags from that of published tables."""
        return AddedTags(self, tag)

    def digest(self, closed: Closed) -> bytes:
        """Of what was closed, as an opening of it must have it."""
        return b""

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        """Rows of zeros that anybody can make: where a partial sum starts."""
        raise NotImplementedError

    def negate(self, wire: Wire) -> Wire:
        """What takes protected rows out of a sum again, to the last bit."""
        raise NotImplementedError


class Tags:
    """A sum of the tags of uploads in the making. shape: of one tag."""

    shape: tuple[int, ...]

    def add(self, user_id: int, tag: Wire) -> None:
        """Raises ``ValueError`` with the reason if it is malformed."""
        raise NotImplementedError

    def add_all(self, user_ids: Sequence[int], tags: Sequence[Wire]) -> None:
        """Several, or none: as :meth:`add`."""
        for at, (user_id, tag) in enumerate(zip(user_ids, tags, strict=True)):
            try:
                self.add(user_id, tag)
            except ValueError:
                for earlier, added in zip(user_ids[:at], tags[:at], strict=True):
                    self.remove(earlier, added)
                raise

    def remove(self, user_id: int, tag: Wire) -> None:
        """Take out again what was added."""
        raise NotImplementedError

    def wire(self) -> Wire:
        """(bytes,) the sum."""
        raise NotImplementedError

    def end(self) -> Wire:
        """(bytes,) the sum, as it is published at the end of a round."""
        return self.wire()

    def closing(self) -> Any:
        """What an opener needs of it."""
        raise NotImplementedError

    def open(self, opening: Any) -> None:
        """Take an opener's answer."""
        raise NotImplementedError

    def partial(self) -> Any:
        """What has been added since the sum started from zero, for :meth:`merge` elsewhere."""
        return self.wire()

    def merge(self, partial: Any) -> None:
        raise NotImplementedError


class AddedTags(Tags):
    """Tags that are protected as rows are."""

    def __init__(self, evaluator: Evaluator, tag: Wire) -> None:
        self.shape = tag.shape
        self._evaluator, self._sum = evaluator, evaluator.aggregate(tag[None, None])

    def add(self, user_id: int, tag: Wire) -> None:
        self._sum.add(np.array([0]), tag[None, None])

    def remove(self, user_id: int, tag: Wire) -> None:
        self._sum.add(np.array([0]), self._evaluator.negate(tag[None, None]))

    def wire(self) -> Wire:
        tag: Wire = self._sum.wire()[0, 0]
        return tag

    def closing(self) -> Any:
        return self._sum.closing()

    def open(self, opening: Any) -> None:
        self._sum.open(opening)

    def merge(self, partial: Any) -> None:
        self._sum.add(np.array([0]), partial[None, None])
