"""A quick attempt to refute what a scheme claims that its server cannot read (:class:`~.base.Reads`).

It protects zeros and values near the bound, as tossed coins say, and looks for anything in the bytes that
goes with the coins (:mod:`~.coins`). What stays unrefuted is not proved: this finds careless schemes, not
clever attacks.
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes import coins
from fedmf_ray.schemes.base import Closed, Evaluator, KeyHolder, Reads, Scheme, Secrets, Shape, Wire

_SHAPE = Shape(columns=2, value_bits=30)
_NEAR = (1 << 29) - 1
_ROWS = np.array([[0, 0], [_NEAR, -_NEAR]])
"""What is protected: tails, heads."""

_ALONE, _TOGETHER = 96, 160
"""Rows in calls of their own, and rows in one call."""

_SHORTEST_SECRET = 8
"""Bytes: shorter ones may stand in any state by chance."""


def refuted(scheme: Scheme) -> str | None:
    """Why the claim of a scheme is false, in one line, or None if nothing was found.

    Takes about a second at 1024-bit keys: some four hundred rows of two values are protected. Some rows are
    protected by copies of the key-holder, because users have copies: what must never come twice, a pad or a
    nonce, must not come twice in any two of them.
    """
    if scheme.server_reads == Reads.EVERYTHING:
        return None
    if scheme.server_reads == Reads.NOTHING:
        return "uploads name their blocks, so its server reads at least which rows a user uploads (rows)"
    return next(_reasons(scheme), None)


def _reasons(scheme: Scheme) -> Iterator[str]:
    evaluator, key = scheme.sides(_SHAPE)
    blob = pickle.dumps(key)
    _, restored = scheme.sides(_SHAPE, key.secrets())
    holders = {"a key-holder": key, "a copy of it": pickle.loads(blob), "one with its secrets": restored}
    yield from _what_the_server_holds(evaluator, key.secrets())
    yield from _who_else_reads(scheme, evaluator, pickle.loads(blob))
    yield from _repeated_rows(holders)
    samples = _samples(holders)
    for sample in samples:
        yield from coins.told_apart(
            f"what {sample.words} protects", sample.heads, coins.features(sample.wire)
        )
    for one, other in itertools.combinations(samples, 2):
        yield from _pairs(one, other, f"what {one.words} and {other.words} protect")
    for sample in samples:
        half = len(sample.heads) // 2
        yield from _pairs(sample.part(0, half), sample.part(1, half), f"two rows of {sample.words}")
    if scheme.opens and scheme.server_reads == Reads.ROWS:
        sums = _opened_sums(evaluator, key)
        yield from coins.told_apart(sums.words, sums.heads, coins.features(sums.wire))


def _what_the_server_holds(evaluator: Evaluator, secrets: Secrets) -> Iterator[str]:
    state = io.BytesIO()
    pickler = _Pickler(state, KeyHolder)
    pickler.dump(evaluator)
    if pickler.found:
        yield "its server's side holds a key-holder"
    if not secrets:
        yield "its key-holder has no secrets, so nothing keeps anybody else from reading"
    for name, array in secrets.items():
        if any(form in state.getvalue() for form in _forms(array)):
            yield f"its server's side holds the users' secret {name!r}"


def _forms(array: NDArray[Any]) -> Iterator[bytes]:
    """The bytes that a secret, or a row of it, may be written as, without zeros around them."""
    for part in (array, *(array if array.ndim else ())):
        for turned in (np.asarray(part), np.asarray(part).byteswap()):
            form = turned.tobytes().strip(b"\0")
            if len(form) >= _SHORTEST_SECRET:
                yield from (form, form[::-1])


def _who_else_reads(scheme: Scheme, evaluator: Evaluator, key: KeyHolder) -> Iterator[str]:
    wire = key.encrypt(_ROWS)
    _, stranger = scheme.sides(_SHAPE)
    if _reads(stranger, wire):
        yield "a key-holder with other secrets reads what it protects"
    if _reads(_with_evaluator(stranger, evaluator), wire):
        yield "its key-holder reads through the server's side, so the server can"


def _reads(key: KeyHolder, wire: Wire) -> bool:
    try:
        return np.array_equal(key.decrypt(wire), _ROWS)
    except Exception:  # whatever a key-holder does with bytes that are not its own
        return False


def _with_evaluator(key: KeyHolder, evaluator: Evaluator) -> KeyHolder:
    """A copy of a key-holder in which this evaluator stands for every other."""
    state = io.BytesIO()
    _Pickler(state, Evaluator).dump(key)
    state.seek(0)
    copy: KeyHolder = _Unpickler(state, evaluator).load()
    return copy


class _Pickler(pickle.Pickler):
    """Leaves out, and counts, objects of a kind."""

    def __init__(self, file: io.BytesIO, kind: type) -> None:
        super().__init__(file)
        self._kind, self.found = kind, 0

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, self._kind):
            return None
        self.found += 1
        return self._kind.__name__


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, instead: Any) -> None:
        super().__init__(file)
        self._instead = instead

    def persistent_load(self, pid: str) -> Any:
        return self._instead


def _repeated_rows(holders: Mapping[str, KeyHolder]) -> Iterator[str]:
    for row in _ROWS:
        twice = np.stack([row, row])
        rows = [wire.tobytes() for key in holders.values() for _ in range(2) for wire in key.encrypt(twice)]
        if len(set(rows)) < len(rows):
            yield "a row that is protected twice may give the same bytes twice"


class _Sample(NamedTuple):
    """words: who protected it. wire: (rows, pieces, bytes). heads: (rows,) which of the two rows each is."""

    words: str
    wire: Wire
    heads: NDArray[np.bool_]

    def part(self, at: int, count: int) -> _Sample:
        """Every other row, from one of the first two."""
        rows = slice(at, 2 * count, 2)
        return self._replace(wire=self.wire[rows], heads=self.heads[rows])


def _samples(holders: Mapping[str, KeyHolder]) -> list[_Sample]:
    """The first key-holder protects row after row, the others all at once."""
    samples: list[_Sample] = []
    for words, key in holders.items():
        heads = coins.toss(_TOGETHER if samples else _ALONE)
        rows = _ROWS[heads.astype(int)]
        calls = [rows] if samples else np.split(rows, len(rows))
        samples.append(_Sample(words, np.concatenate([key.encrypt(some) for some in calls]), heads))
    return samples


def _opened_sums(evaluator: Evaluator, key: KeyHolder) -> _Sample:
    """Sums of one user's rows and what was there before, as the server publishes them."""
    heads = coins.toss(_TOGETHER)
    total = evaluator.aggregate(key.encrypt(np.zeros((len(heads), _SHAPE.columns), np.int64)))
    total.add(np.arange(len(heads)), key.encrypt(_ROWS[heads.astype(int)]))
    (opening,) = key.open([Closed(0, 0, np.array([1]), total.closing())])
    total.open(opening.sums)
    return _Sample("sums once they are opened", total.wire(), heads)


def _pairs(one: _Sample, other: _Sample, words: str) -> Iterator[str]:
    """Whether two rows show that they are not the same: so it is where a pad is used twice."""
    count = min(len(one.heads), len(other.heads))
    heads = one.heads[:count] ^ other.heads[:count]
    differences = coins.differences(one.wire[:count], other.wire[:count])
    yield from coins.told_apart(f"the difference of {words}", heads, differences)
