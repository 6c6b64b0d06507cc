"""Exact arithmetic modulo p = 2^127 - 1 on whole arrays, with products of float64 matrices.

A number modulo p is eight limbs of 16 bits. Products of limbs and integers are added up as float64, where
they are exact below 2^53, in any order and with any library. So BLAS may do it: no bit depends on how it
adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import compiled

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

P = (1 << 127) - 1
BYTES = 16
LIMBS, LIMB_BITS = 8, 16
_EXACT_BITS = 53
_SUM_BITS, _SPLIT, _NARROW_SPLIT = 56, 28, 20
"""Sums over rows, and the pieces in which they are multiplied again: of 256 columns at most, or of 2^16."""

_ROWS = 512
"""Rows that are multiplied at once: they stay in a cache, and so small a product is no work for BLAS's
threads, which the clock of one thread would not see."""


def limbs_of(numbers: Bytes) -> Floats:
    """(k, 16) bytes, little endian, to (k, 8) limbs."""
    return np.ascontiguousarray(numbers).view("<u2").astype(np.float64)


def to_bytes(number: int) -> Bytes:
    """(16,) of a number modulo p."""
    return np.frombuffer(int(number % P).to_bytes(BYTES, "little"), np.uint8)


def to_int(number: Bytes) -> int:
    return int.from_bytes(number.tobytes(), "little") % P


def totals(numbers: Bytes, cuts: Sequence[tuple[int, int]]) -> list[int]:
    """For each of some ranges of (k, 16) numbers, fewer than 2^32 of them, their sum modulo p."""
    found = compiled.totals(numbers, cuts)
    if found is not None:
        return found
    words = np.ascontiguousarray(numbers).view("<u4")
    sums = [words[begin:end].sum(axis=0, dtype=np.uint64).tolist() for begin, end in cuts]
    return [sum(word << (32 * at) for at, word in enumerate(one)) % P for one in sums]


def weighted_rows(integers: Integers, weights: Floats, bits: int) -> Integers:
    """Sum over columns of integer times weight, row by row, not yet reduced: (rows, 8 or more) sums of limbs.

    integers: (rows, columns), signed, of so many bits. weights: (columns, 8) limbs.
    """
    columns = max(1, integers.shape[1])
    spare = _EXACT_BITS - LIMB_BITS - columns.bit_length()
    if bits - 1 <= spare:
        return _product(integers, weights)
    pieces = -(-bits // LIMB_BITS)
    if spare < LIMB_BITS:
        raise ValueError(f"{columns} columns are too many for exact sums")
    sums = np.zeros((len(integers), LIMBS + pieces - 1), np.int64)
    for at in range(pieces):
        piece = integers >> (LIMB_BITS * at)
        if at < pieces - 1:
            piece &= 0xFFFF
        sums[:, at : at + LIMBS] += _product(piece, weights)
    return sums


def _product(integers: Integers, weights: Floats) -> Integers:
    sums = np.empty((len(integers), weights.shape[1]), np.int64)
    for first in range(0, len(integers), _ROWS):
        chunk = integers[first : first + _ROWS].astype(np.float64)
        sums[first : first + _ROWS] = chunk @ weights
    return sums


def reduced(sums: Integers) -> Bytes:
    """(k, 8 or more) signed sums of limbs, each below 2^58, to (k, 16) numbers modulo p."""
    words = _words(sums)
    for _ in range(3):  # carries of 2^26 at most, then of one, then of one that passes all words
        for at in range(3):
            words[at + 1] += words[at] >> 32
            words[at] &= 0xFFFFFFFF
        words[0] += words[3] >> 31  # 2^127 is 1
        words[3] &= 0x7FFFFFFF
    zero = (words[0] == 0xFFFFFFFF) & (words[3] == 0x7FFFFFFF)
    if zero.any():
        zero &= (words[1] == 0xFFFFFFFF) & (words[2] == 0xFFFFFFFF)
        words[:, zero] = 0
    return np.ascontiguousarray(words.T.astype("<u4")).view(np.uint8)


def _words(sums: Integers) -> Integers:
    """(4, k) sums of words of 32 bits."""
    limbs = np.ascontiguousarray(sums.T)
    for at in range(LIMBS, len(limbs)):
        limbs[at - LIMBS] += 2 * limbs[at]  # 2^128 is 2
    even, odd = limbs[0:LIMBS:2], limbs[1:LIMBS:2]
    words = even + ((odd & 0xFFFF) << 16)
    carries = odd >> 16
    words[1:] += carries[:-1]
    words[0] += 2 * carries[-1]
    return words


def weighted_sums(
    rows: Floats, integers: Integers, columns: Floats, bits: int, cuts: Sequence[tuple[int, int]]
) -> list[int]:
    """For each of some ranges of rows, the sum of row's weight * column's weight * integer, modulo p.

    rows: (rows, 8) limbs. integers: (rows, columns), signed, of so many bits. columns: (columns, 8) limbs.
    """
    sums = np.stack([_over_rows(rows[b:e], integers[b:e], bits) for b, e in cuts])
    split = _SPLIT if len(columns) <= 256 else _NARROW_SPLIT
    totals = [0] * len(cuts)
    for at, shift in enumerate(range(0, _SUM_BITS, split)):
        piece = sums >> shift
        if shift + split < _SUM_BITS:
            piece &= (1 << split) - 1
        for cut, number in enumerate(_diagonals(piece.astype(np.float64) @ columns)):
            totals[cut] += number << (split * at)
    return [total % P for total in totals]


def _over_rows(weights: Floats, integers: Integers, bits: int) -> Integers:
    """(limbs, columns) exact sums over rows, each below 2^55."""
    whole = LIMB_BITS + bits - 1 + len(integers).bit_length() <= _EXACT_BITS
    pieces = 1 if whole else -(-bits // LIMB_BITS)
    sums = np.zeros((LIMBS + -(-bits // LIMB_BITS) - 1, integers.shape[1]), np.int64)
    for at in range(pieces):
        piece = integers >> (LIMB_BITS * at) if pieces > 1 else integers
        if at < pieces - 1:
            piece &= 0xFFFF
        for first in range(0, len(integers), _ROWS):
            chunk = weights[first : first + _ROWS].T @ piece[first : first + _ROWS].astype(np.float64)
            sums[at : at + LIMBS] += chunk.astype(np.int64)
    return sums


def _diagonals(products: Floats) -> list[int]:
    """(k, n, 8) products of limbs to k numbers: limb i times limb j counts 2^(16 (i + j))."""
    count, limbs, _ = products.shape
    skewed = np.zeros((count, limbs, LIMBS + limbs), np.int64)
    skewed[:, :, :LIMBS] = products
    width = LIMBS + limbs - 1
    diagonals = skewed.reshape(count, -1)[:, : limbs * width].reshape(count, limbs, width).sum(axis=1)
    return [
        sum(limb << (LIMB_BITS * at) for at, limb in enumerate(diagonal)) for diagonal in diagonals.tolist()
    ]
