"""What travels under a committee beside masked rows: tags with lists for groups, and a group's part of an
opening."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.heads import digest
from fedmf_ray.schemes.masked.server import MaskedAggregate, MaskedTags
from fedmf_ray.schemes.masked.streams import NONCE_BYTES
from fedmf_ray.schemes.masked.wire import TAG_BYTES, Sums, TagSums

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

LIST_BYTES = 16
"""With which an upload authenticates its list of rows to a group."""

UPLOAD_NONCE_BYTES = 8
"""A row's nonce is that of its upload, and where the row is in the server's range (4 bytes)."""


@dataclass(frozen=True)
class ListedTags(TagSums):
    """Closed tags. lists: (u, groups, 16) what each upload authenticates its rows with."""

    lists: Bytes

    @property
    def nbytes(self) -> int:
        return super().nbytes + self.lists.nbytes


class CommitteeTags(MaskedTags):
    """Tags of uploads: a nonce, a number modulo p, and 16 bytes for each group."""

    def __init__(self, tag: Bytes, groups: int) -> None:
        super().__init__(tag)
        self._groups = groups
        self.shape = (TAG_BYTES + groups * LIST_BYTES,)

    def add(self, user_id: int, tag: Bytes) -> None:
        number = tag[NONCE_BYTES:TAG_BYTES]
        if int.from_bytes(number.tobytes(), "little") >= field.P:
            raise ValueError("its tag is not a number modulo p")
        self._tags[user_id] = tag.tobytes()

    def closing(self) -> ListedTags:
        user_ids = np.array(sorted(self._tags), np.int64)
        mine = self._of(user_ids)
        lists = mine[:, TAG_BYTES:].reshape(len(mine), self._groups, LIST_BYTES)
        nonces = mine[:, :NONCE_BYTES].copy()
        return ListedTags(user_ids, nonces, self._total(mine), lists.copy())


class CommitteeAggregate(MaskedAggregate):
    """As under masks: sums modulo 2^b, and the nonces that are in them."""


@dataclass(frozen=True)
class Committed(Sums):
    """Closed sums as members get them before they open: ``totals`` is empty. digest: of the totals, and of
    the sum of tags, which a server cannot choose any more once it knows what opens them."""

    digest: bytes

    @property
    def nbytes(self) -> int:
        return super().nbytes + len(self.digest)


def totals_digest(totals: Bytes, total: Bytes) -> bytes:
    """Of what a server has added up: rows, and tags."""
    whole = hashlib.sha256(f"{totals.shape}".encode())
    whole.update(np.ascontiguousarray(totals).data)
    whole.update(np.ascontiguousarray(total).data)
    return whole.digest()


def committed(sums: Sums, tags: TagSums) -> bytes:
    """The digest of what a server has added up."""
    return sums.digest if isinstance(sums, Committed) else totals_digest(sums.totals, tags.total)


def rest_of(sums: Sums, tags: TagSums) -> bytes:
    """A digest of what a closed set is, beside its users: who uploaded which rows, and what they add up
    to."""
    return digest(b"committee rest", wires.rest_of(sums, tags), committed(sums, tags))


@dataclass(frozen=True)
class Part:
    """What a member of a group sends to open a closed set.

    first: the server's first block. closed: a digest of the set. digest: of the words. number: (16,) like
    words, of tags. nonces: (rows, 12) of the next tables, from group 0 alone, which also takes the old mask
    of tables out and puts the new one on. words: (rows, bytes) packed: the masks of its group, taken out;
    None for whoever can compute them itself."""

    first: int
    group: int
    member: int
    closed: bytes
    digest: bytes
    number: Bytes
    nonces: Bytes | None
    words: Bytes | None
    signature: bytes = b""

    @property
    def nbytes(self) -> int:
        arrays = sum(0 if one is None else one.nbytes for one in (self.words, self.nonces))
        return len(self.closed) + len(self.digest) + self.number.nbytes + arrays + len(self.signature)

    def without_words(self) -> Part:
        return replace(self, words=None, nonces=None)


def words_digest(words: Bytes) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(words).data).digest()


@dataclass(frozen=True)
class Sheet:
    """From which a member computes the next tables itself: what a server has added up, and what opens it.

    totals: (rows, bytes) packed. total: (16,) of tags. parts: of all groups, by number; without words for
    those that the member is in."""

    round: int
    first: int
    totals: Bytes
    total: Bytes
    parts: tuple[Part, ...]

    @property
    def nbytes(self) -> int:
        return self.totals.nbytes + self.total.nbytes + sum(one.nbytes for one in self.parts)


@dataclass(frozen=True)
class Certificate:
    """A member's word for the next tables. tag: (16,) of what they keep. signature: of their head, and of who
    answers for them."""

    member: int
    tag: Bytes
    signature: bytes

    @property
    def nbytes(self) -> int:
        return self.tag.nbytes + len(self.signature)
