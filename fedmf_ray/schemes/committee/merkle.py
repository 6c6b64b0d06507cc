"""Merkle trees over rows: one root for all, and a short path for who reads few.

A leaf is a few rows together. Leaves and nodes have different prefixes, and a node without a sibling moves up
as it is (RFC 6962).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LEAF_ROWS = 16


def leaves_of(rows: NDArray[np.uint8]) -> list[bytes]:
    """rows: (rows, ...) uint8. A digest for each :data:`LEAF_ROWS` of them."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return [leaf(flat[at : at + LEAF_ROWS]) for at in range(0, len(flat), LEAF_ROWS)]


def leaf(rows: Bytes) -> bytes:
    size = f"{rows.shape}".encode()
    return hashlib.sha256(b"\0" + size + np.ascontiguousarray(rows).tobytes()).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """32 bytes; those of no leaves, too."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else hashlib.sha256(b"\0").digest()


def path(leaves: Sequence[bytes], at: int) -> list[bytes]:
    """What somebody with leaf ``at`` needs to make the root: from below."""
    level, siblings = list(leaves), []
    while len(level) > 1:
        if at ^ 1 < len(level):
            siblings.append(level[at ^ 1])
        level, at = _above(level), at // 2
    return siblings


def climbed(one: bytes, at: int, count: int, siblings: Sequence[bytes]) -> bytes:
    """The root over leaf ``at`` of so many. Raises ``ValueError`` for a path of another length."""
    rest = list(siblings)
    if not 0 <= at < count:
        raise ValueError(f"there is no leaf {at} of {count}")
    while count > 1:
        if at ^ 1 < count:
            if not rest:
                raise ValueError("a path is too short")
            other = rest.pop(0)
            one = _node(other, one) if at % 2 else _node(one, other)
        at, count = at // 2, -(-count // 2)
    if rest:
        raise ValueError("a path is too long")
    return one


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [_node(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
    return pairs + ([level[-1]] if len(level) % 2 else [])


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
