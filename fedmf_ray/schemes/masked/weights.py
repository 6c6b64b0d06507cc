"""Secret weights: they bind rows of integers to numbers modulo p = 2^127 - 1 that add up.

The weight of a value is the product of one for its row and one for its column: the number of a block of rows
is

    sum over rows of a[row] * (sum over columns of c[column] * x[row, column])    (mod p).

Whoever does not know the weights and changes some x is right with probability 2/p at most: a row that changed
keeps its inner sum with probability 1/p, and if that changed, so does the outer sum but for one a[row] of p.
Row sums are products of matrices (:mod:`.field`), and outer weights are one for a row, not for each value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import compiled, field
from fedmf_ray.schemes.masked.streams import Stream, derive
from fedmf_ray.schemes.sides import Integers, Shape

Bytes = NDArray[np.uint8]


class Weights:
    """Of rows of one shape, for one purpose."""

    def __init__(self, secret: bytes, purpose: str, shape: Shape) -> None:
        self._bits = shape.value_bits
        columns = Stream(derive(secret, f"{purpose}, columns"))
        self._columns = _numbers(columns, np.arange(shape.columns))
        self._stream = Stream(derive(secret, f"{purpose}, rows"))
        self._rows = np.empty((0, field.BYTES), np.uint8)

    def seals(self, integers: Integers, pads: Bytes) -> Bytes:
        """(rows, 16): the weighted sum of each row modulo p, under a pad of its own. pads: (rows, 16)."""
        found = compiled.row_sums(integers, self._columns, pads, self._bits)
        if found is not None:
            return found
        sums = field.weighted_rows(integers, field.limbs_of(self._columns), self._bits)
        sums[:, : field.LIMBS] += pads.view("<u2")
        return field.reduced(sums)

    def numbers(self, blocks: Integers, integers: Integers, cuts: Sequence[tuple[int, int]]) -> list[int]:
        """For each of some ranges of rows, the number modulo p that stands for it. blocks: (rows,)
        numbers."""
        self._extend(blocks)
        found = compiled.weigh(integers, self._columns, self._rows, blocks, cuts, self._bits)
        if found is not None:
            return found
        rows, columns = field.limbs_of(self._rows[blocks]), field.limbs_of(self._columns)
        return field.weighted_sums(rows, integers, columns, self._bits, cuts)

    def _extend(self, blocks: Integers) -> None:
        if len(blocks) and int(blocks.max()) >= len(self._rows):
            count = max(1024, 1 << int(blocks.max()).bit_length())
            self._rows = _numbers(self._stream, np.arange(count))


def _numbers(stream: Stream, labels: Integers) -> Bytes:
    """(k, 16) pseudorandom numbers below 2^127."""
    numbers = stream.numbers(labels).copy()
    numbers[:, -1] &= 0x7F
    return numbers
