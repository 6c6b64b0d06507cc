"""Whether bytes have anything to do with tossed coins, with a bound on false alarms that always holds.

The bound holds for every scheme whose bytes do not depend on what is protected, however they are distributed:
coins are then independent of bytes. Among the t rows whose byte falls into a bin, heads minus tails are a sum
S of t fair signs, and S**2/t has no larger exponential moments than a chi-square variable. So the sum x over
k bins obeys P(x or more) <= (x/k)**(k/2) * exp((k - x)/2), at any number of rows.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Heads = NDArray[np.bool_]

_FALSE_ALARM = 1e-9
"""Bytes that have nothing to do with the coins raise an alarm with at most this probability."""

_MOST_TESTS = 1000
"""Arrays of bytes that are tested, at most, and share that probability."""

_MOST_BYTES = 1 << 14
"""Of a row: what comes after is only looked at in sums."""


class Feature(NamedTuple):
    """words: what it is, with braces for a column's number. values: (rows, k) uint8."""

    words: str
    values: Bytes


def toss(count: int) -> Heads:
    """(count,) coins of the operating system: a scheme cannot know them."""
    return np.asarray(np.frombuffer(secrets.token_bytes(count), np.uint8) % 2 == 1)


def told_apart(words: str, heads: Heads, features: Iterator[Feature]) -> Iterator[str]:
    """A reason for each feature that goes with the coins. words: what is looked at."""
    for feature in features:
        for bins in (feature.values >> np.uint8(4), feature.values & np.uint8(15)):
            surprise = log_probability(bins, heads)
            worst = int(np.argmin(surprise))
            if surprise[worst] < math.log(_FALSE_ALARM / _MOST_TESTS / len(surprise)):
                where = feature.words.format(worst)
                yield f"zeros and values near the bound can be told apart: {words} ({where})"


def log_probability(bins: Bytes, heads: Heads) -> NDArray[np.float64]:
    """(k,) an upper bound of the logarithm of the probability that bins, (rows, k) below 16, go with the
    coins as much as they do, if they have nothing to do with them."""
    signs = np.where(heads, 1.0, -1.0)
    statistic, used = np.zeros((2, bins.shape[1]))
    for value in range(16):
        inside = bins == value
        count = inside.sum(axis=0)
        statistic += (signs @ inside) ** 2 / np.maximum(count, 1)
        used += count > 0
    over = np.maximum(statistic / used, 1.0)
    return np.asarray(used / 2 * (np.log(over) + 1.0 - over))


def features(wire: Bytes) -> Iterator[Feature]:
    """What is looked at in rows (rows, pieces, bytes): bytes, differences within a row, and sums of all."""
    rows = _flat(wire)
    start = rows[:, :_MOST_BYTES]
    yield Feature("byte {}", start)
    for lag in sorted({1, 2, 4, 8, wire.shape[-1]}):
        if lag < start.shape[1]:
            left, right = start[:, lag:], start[:, :-lag]
            yield Feature(f"byte {{}} and the one {lag} further on, subtracted", left - right)
            yield Feature(f"byte {{}} and the one {lag} further on, exclusive or", left ^ right)
    yield from _sums(rows)


def differences(one: Bytes, other: Bytes) -> Iterator[Feature]:
    """The same of pairs of rows."""
    left, right = _flat(one), _flat(other)
    yield Feature("byte {}, subtracted", (left - right)[:, :_MOST_BYTES])
    yield Feature("byte {}, exclusive or", (left ^ right)[:, :_MOST_BYTES])
    yield from _sums(left - right)


def _sums(rows: Bytes) -> Iterator[Feature]:
    total = rows.sum(axis=1, dtype=np.uint64)
    yield Feature("byte {} of the sum of its bytes", total[:, None].view(np.uint8))
    ranks = np.argsort(np.argsort(total, kind="stable"), kind="stable") * 16 // len(total)
    yield Feature("how large the sum of its bytes is", ranks.astype(np.uint8)[:, None])
    words = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view("<u8")
    yield Feature("byte {} of the sum of its 64-bit words", words.sum(axis=1)[:, None].view(np.uint8))
    yield Feature("the exclusive or of its bytes", np.bitwise_xor.reduce(rows, axis=1)[:, None])
    parity = np.unpackbits(rows, axis=1).sum(axis=1, dtype=np.uint64) % 2
    yield Feature("the parity of its bits", parity.astype(np.uint8)[:, None])


def _flat(wire: Bytes) -> Bytes:
    return np.ascontiguousarray(wire).reshape(len(wire), -1)
