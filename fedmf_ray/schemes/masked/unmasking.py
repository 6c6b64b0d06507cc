"""Closed sums without the masks of the uploads that are in them: most of what opening a round takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray import threads
from fedmf_ray.schemes.masked import compiled
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.listing import each_row
from fedmf_ray.schemes.masked.streams import Stream
from fedmf_ray.schemes.masked.wire import Sums
from fedmf_ray.schemes.sides import Integers

Words = NDArray[Any]

_AT_ONCE = 1 << 11
"""Nonces whose masks are made and added up at once: they stay in a cache."""


def unmask(words: Words, sums: Sums, uploads: Stream, layout: BitLayout) -> None:
    """Take off (rows, columns) words, the sums, what every listed nonce stands for. Threads share the rows:
    each is in one piece of work alone."""

    def listed() -> Callable[[tuple[slice, Integers]], None]:
        stream = uploads.another()

        def take_off(piece: tuple[slice, Integers]) -> None:
            nonces, rows = sums.nonces[piece[0]], piece[1]
            for first in range(0, len(rows), _AT_ONCE):
                some = slice(first, first + _AT_ONCE)
                masks = stream.words(nonces[some], layout.columns, layout.word)
                if not compiled.take_off(words, rows[some], masks):
                    starts = np.flatnonzero(np.diff(rows[some], prepend=-1))
                    words[rows[some][starts]] -= np.add.reduceat(masks, starts, axis=0)

        return take_off

    def whole() -> Callable[[slice], None]:
        stream = uploads.another()

        def take_off(rows: slice) -> None:
            for nonce in sums.whole:
                nonces = wires.counted_nonces(nonce, rows.stop - rows.start, rows.start)
                words[rows] -= stream.words(nonces, layout.columns, layout.word)

        return take_off

    threads.spread(listed, each_row(sums.counts))
    if len(sums.whole):
        threads.spread(whole, layout.chunks(len(words)))
