"""The servers' side: sums of masked rows modulo 2^b, lists of nonces, and no key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import field, heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.listing import Listing, Run
from fedmf_ray.schemes.masked.streams import NONCE_BYTES
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, Sums, TagSums
from fedmf_ray.schemes.messages import Closed
from fedmf_ray.schemes.sides import Integers, Shape, Wire
from fedmf_ray.schemes.sums import Aggregate, Evaluator, Tags

Bytes = NDArray[np.uint8]

_PENDING_ROWS = 1 << 12
"""Rows of uploads that wait to be added."""


@dataclass(frozen=True)
class MaskedEvaluator(Evaluator):
    """Adds words modulo 2^b. shape: of the rows."""

    shape: Shape

    def aggregate(self, wire: Wire) -> MaskedAggregate:
        return MaskedAggregate(BitLayout.of(self.shape), wire)

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return np.zeros(shape, np.uint8)

    def negate(self, wire: Wire) -> Wire:
        layout, rows = BitLayout.of(self.shape), wire[:, 0]
        negative = wire.copy()
        negative[:, 0, 0] = np.where(rows[:, 0] == wires.UPLOADED, wires.TAKEN_OUT, wires.UPLOADED)
        layout.pack(-layout.unpack(rows[:, HEADER_BYTES:]), negative[:, 0, HEADER_BYTES:])
        return negative

    def tags(self, tag: Wire) -> Tags:
        return MaskedTags(tag)

    def digest(self, closed: Closed) -> bytes:
        rest = wires.rest_of(closed.sums, closed.tags)
        return heads.closed_digest(closed.head, closed.round, closed.first, closed.credited, rest)


@dataclass(frozen=True)
class _Partial:
    """What a combiner has added to some rows. runs: of nonces, whose rows are positions among these."""

    words: NDArray[Any]
    runs: list[Run]
    whole: Bytes


class MaskedAggregate(Aggregate):
    """A sum and the nonces that are in it."""

    repeats, at_once = True, 1 << 20

    def __init__(self, layout: BitLayout, wire: Wire) -> None:
        self._layout = layout
        self._begin(wire)

    def _begin(self, wire: Wire) -> None:
        rows = wire[:, 0]
        self._start = rows[:, :HEADER_BYTES].copy()
        self._words = self._layout.unpack(rows[:, HEADER_BYTES:])
        self._pending: list[tuple[Integers, Bytes]] = []
        self._waiting = 0
        self._listing = Listing()
        self._whole: list[Bytes] = []

    def add(self, rows: Integers, wire: Wire) -> None:
        """Also takes out again, row by row, what was added before."""
        flat = wire[:, 0]
        if not len(rows) or (flat[:, 0] != wires.TAKEN_OUT).any():
            self.add_all(rows, [wire])
            return
        self._forget(rows, np.ascontiguousarray(flat[:, 1:HEADER_BYTES]))
        self._pend(rows, np.ascontiguousarray(flat))

    def add_all(self, rows: Integers, wires_of: Sequence[Wire]) -> None:
        headers = np.concatenate([wire[:, 0, :HEADER_BYTES] for wire in wires_of])
        if (headers[:, 0] != wires.UPLOADED).any():
            raise ValueError("a row is not of the kind that users upload")
        nonces, begin = np.ascontiguousarray(headers[:, 1:]), 0
        if wires.repeated(nonces):
            raise ValueError("a nonce comes twice")
        for wire in map(np.ascontiguousarray, wires_of):
            mine = slice(begin, begin + len(wire))
            if len(wire):
                self._note(rows[mine], nonces[mine])
                self._pend(rows[mine], wire[:, 0])
            begin = mine.stop

    def _pend(self, rows: Integers, flat: Bytes) -> None:
        """Rows of an upload wait to be added."""
        self._pending.append((rows, flat[:, HEADER_BYTES:]))
        self._waiting += len(rows)
        if self._waiting >= _PENDING_ROWS:
            self._sum_up()

    def _sum_up(self) -> None:
        """Add what waits: many short uploads are unpacked at once."""
        waiting, self._pending, self._waiting = self._pending, [], 0
        pending = [one for one in waiting if not self._layout.add_to(self._words, *one)]
        if not pending:
            return
        words = self._layout.unpack(np.concatenate([packed for _, packed in pending]))
        begin = 0
        for rows, _ in pending:
            total = self._words.take(rows, axis=0)
            total += words[begin : begin + len(rows)]
            self._words[rows] = total
            begin += len(rows)

    def _note(self, rows: Integers, nonces: Bytes) -> None:
        if len(rows) == len(self._words) > 1 and np.array_equal(
            nonces, wires.counted_nonces(nonces[0], len(rows))
        ):
            self._whole.append(nonces[:1])
        else:
            self._listing.note(rows, nonces)

    def _forget(self, rows: Integers, nonces: Bytes) -> None:
        """Raises ``ValueError`` for what was never added."""
        if len(rows) == len(self._words) and np.array_equal(
            nonces, wires.counted_nonces(nonces[0], len(rows))
        ):
            for at, first in enumerate(self._whole):
                if np.array_equal(first[0], nonces[0]):
                    del self._whole[at]
                    return
        self._listing.forget(rows, nonces)

    def _wholes(self) -> Bytes:
        return np.concatenate([_no_nonces(), *self._whole])

    def wire(self) -> Wire:
        if self._listing or self._whole:
            raise RuntimeError("a sum that nobody has opened")
        self._sum_up()
        out = np.empty((len(self._words), 1, HEADER_BYTES + self._layout.row_bytes), np.uint8)
        out[:, 0, :HEADER_BYTES] = self._start
        self._layout.pack(self._words, out[:, 0, HEADER_BYTES:])
        return out

    def closing(self) -> Sums:
        self._sum_up()
        totals = np.empty((len(self._words), self._layout.row_bytes), np.uint8)
        self._layout.pack(self._words, totals)
        counts, nonces = self._listing.closed(len(self._words))
        return Sums(self._start, totals, counts, nonces, wires.sorted_nonces(self._wholes()))

    def hold(self, sums: Sums, same: Sums) -> Sums:
        self._listing.hold(same.nonces)
        return replace(sums, nonces=same.nonces)

    def open(self, opening: Any) -> None:
        self._begin(opening)

    def partial(self, rows: Integers) -> Any:
        self._sum_up()
        runs = [replace(run, rows=np.searchsorted(rows, run.rows)) for run in self._listing.runs()]
        return _Partial(self._words[rows], runs, self._wholes())

    def merge(self, rows: Integers, partial: Any) -> None:
        self._sum_up()
        self._words[rows] += partial.words
        for run in partial.runs:
            self._listing.take(replace(run, rows=rows[run.rows]))
        self._whole += list(partial.whole[:, None])


class MaskedTags(Tags):
    """Adds tags modulo p, and remembers whose they are and under which nonce."""

    shape = (wires.TAG_BYTES,)

    def __init__(self, tag: Wire) -> None:
        self.open(tag)

    def add(self, user_id: int, tag: Wire) -> None:
        if int.from_bytes(tag[NONCE_BYTES:].tobytes(), "little") >= field.P:
            raise ValueError("its tag is not a number modulo p")
        self._tags[user_id] = tag.tobytes()

    def remove(self, user_id: int, tag: Wire) -> None:
        del self._tags[user_id]

    def wire(self) -> Wire:
        if self._tags:
            raise RuntimeError("a sum of tags that nobody has opened")
        return self._start

    def closing(self) -> TagSums:
        user_ids = np.array(sorted(self._tags), np.int64)
        mine = self._of(user_ids)
        return TagSums(user_ids, mine[:, :NONCE_BYTES].copy(), self._total(mine))

    def _of(self, user_ids: Integers) -> Bytes:
        """(users, bytes) their tags."""
        text = b"".join([self._tags[one] for one in user_ids.tolist()])
        return np.frombuffer(text, np.uint8).reshape(-1, *self.shape)

    def _total(self, tags: Bytes) -> Bytes:
        """(16,) the sum of these, and of what it began with."""
        numbers = tags[:, NONCE_BYTES : wires.TAG_BYTES]
        (total,) = field.totals(numbers, [(0, len(tags))])
        return field.to_bytes(field.to_int(self._start) + total)

    def open(self, opening: Any) -> None:
        self._start: Wire = opening
        self._tags: dict[int, bytes] = {}

    def partial(self) -> Any:
        return dict(self._tags)

    def merge(self, partial: Any) -> None:
        self._tags |= partial


def _no_nonces() -> Bytes:
    return np.empty((0, NONCE_BYTES), np.uint8)
