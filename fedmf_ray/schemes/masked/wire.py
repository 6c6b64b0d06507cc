"""How rows, tags and what an opener gets look on the wire.

A row is its kind (1 byte), its nonce (12), and its values modulo 2^b with b bits each. A tag of an upload is
a nonce (12) and a number modulo p (16); that of tables is a number alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import compiled
from fedmf_ray.schemes.masked.streams import NONCE_BYTES

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

BARE, UPLOADED, TABLES, TAKEN_OUT = 0, 1, 2, 255
"""Kinds of rows: zeros that anybody can make; what a user uploads; what an opener publishes; an upload with
the opposite sign, which cancels it."""

WHOLE = (1 << 32) - 1
"""Instead of a block's number: stands for an upload of all of a server's rows."""

_CHUNK = 1 << 18
"""Nonces that are looked up at once."""

_END_BITS = 12
"""Of 32: numbers are first looked up without these, in a table that stays in a cache."""

HEADER_BYTES = 1 + NONCE_BYTES
NUMBER_BYTES = 16
TAG_BYTES = NONCE_BYTES + NUMBER_BYTES


@dataclass(frozen=True)
class Sums:
    """Closed sums of rows, as an opener needs them.

    start: (rows, 13) kind and nonce of what each sum began with. totals: (rows, bytes) packed. counts:
    (rows,) uint32, how many nonces of uploads are in each. nonces: (k, 12) row after row, sorted in each.
    whole: (u, 12) sorted first nonces of uploads of all rows, whose others follow by counting.
    """

    start: Bytes
    totals: Bytes
    counts: NDArray[np.uint32]
    nonces: Bytes
    whole: Bytes

    @property
    def nbytes(self) -> int:
        arrays = (self.start, self.totals, self.counts, self.nonces, self.whole)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True)
class TagSums:
    """Closed tags: (u,) increasing ids of users, (u, 12) nonces of their tags, (16,) the sum with that of the
    tables before."""

    user_ids: Integers
    nonces: Bytes
    total: Bytes

    @property
    def nbytes(self) -> int:
        return self.user_ids.nbytes + self.nonces.nbytes + self.total.nbytes


def rest_of(sums: Sums, tags: TagSums | None) -> bytes:
    """A digest of the lists of nonces, which are sorted: order of arrival says nothing."""
    whole = hashlib.sha256(b"fedmf-ray list 1")
    arrays: list[NDArray[Any]] = [sums.start, sums.counts, sums.nonces, sums.whole]
    if tags is not None:
        arrays += [tags.user_ids, tags.nonces]
    for array in arrays:
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.digest()


def counted_nonces(first: Bytes, rows: int, begin: int = 0) -> Bytes:
    """(rows, 12): the nonces of an upload of all rows, or of so many from one on, from its (12,) first one:
    the last four bytes count."""
    nonces = np.empty((rows, 3), "<u4")
    nonces[:] = np.ascontiguousarray(first).view("<u4")
    nonces[:, 2] += np.arange(begin, begin + rows, dtype=np.uint32)
    return nonces.view(np.uint8)


def prefixes(nonces: Bytes) -> NDArray[np.uint64]:
    """(k,) the first eight bytes."""
    words = np.ascontiguousarray(nonces).view("<u4")
    return np.asarray(words[:, 0] | words[:, 1].astype(np.uint64) << np.uint64(32))


def order_of(rows: Integers, nonces: Bytes) -> Integers:
    """Row after row, and by nonces in each: by 40 bits of them, in which those of a row do not meet; where
    there are 2^24 rows or more, by 64."""
    starts = prefixes(nonces)
    if not len(rows) or int(rows.max()) >= 1 << 24:
        return np.lexsort((starts, rows))
    return np.argsort(rows.astype(np.uint64) << np.uint64(40) | starts >> np.uint64(24))


def repeated(nonces: Bytes) -> bool:
    """Whether any comes twice."""
    found = compiled.repeated(nonces)
    if found is not None:
        return found
    words = np.ascontiguousarray(nonces).view("<u4")
    if len(words) and (words[:, :2] == words[0, :2]).all():  # of one upload, whose last four bytes differ
        ends = words[:, 2]
        return not (ends[1:] > ends[:-1]).all() and len(np.unique(ends)) < len(ends)
    # Four bytes of each tell nearly all of them apart, in a third of the memory.
    beginnings = np.sort(words[:, 0])
    twice = np.unique(beginnings[1:][beginnings[1:] == beginnings[:-1]])
    del beginnings
    if not len(twice):
        return False
    starts = np.zeros(1 << (32 - _END_BITS), bool)
    starts[twice >> _END_BITS] = True
    parts = np.array_split(words, 1 + len(words) // _CHUNK)
    chosen = [some[_among(some[:, 0], twice, starts)] for some in parts]
    left = np.concatenate(chosen)
    return len(np.unique(left, axis=0)) < len(left)


def _among(
    numbers: NDArray[np.uint32], chosen: NDArray[np.uint32], beginnings: NDArray[np.bool_]
) -> Integers:
    """Which are among some, which increase; where they are. beginnings: by their first 20 bits, whether any
    of these begins so: most numbers need not be looked for."""
    near = np.flatnonzero(beginnings[numbers >> _END_BITS])
    at = np.minimum(np.searchsorted(chosen, numbers[near]), len(chosen) - 1)
    return np.asarray(near[chosen[at] == numbers[near]])


def sorted_nonces(nonces: Bytes) -> Bytes:
    return nonces[np.lexsort(nonces.T[::-1])] if len(nonces) else nonces
