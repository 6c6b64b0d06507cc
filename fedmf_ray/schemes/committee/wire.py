"""What travels under a committee beside masked rows: tags with lists for groups, and a group's part of an
opening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked.server import MaskedAggregate, MaskedTags
from fedmf_ray.schemes.masked.streams import NONCE_BYTES
from fedmf_ray.schemes.masked.wire import TAG_BYTES, TagSums

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
        self._tags[user_id] = tag

    def closing(self) -> ListedTags:
        user_ids = np.array(sorted(self._tags), np.int64)
        none = np.empty((0, *self.shape), np.uint8)
        mine: Bytes = np.concatenate([none, *(self._tags[one][None] for one in user_ids.tolist())])
        numbers = mine[:, NONCE_BYTES:TAG_BYTES]
        total = field.to_int(self._start) + sum(field.to_int(one) for one in numbers)
        lists = mine[:, TAG_BYTES:].reshape(len(mine), self._groups, LIST_BYTES)
        nonces = mine[:, :NONCE_BYTES].copy()
        return ListedTags(user_ids, nonces, field.to_bytes(total), lists.copy())


class CommitteeAggregate(MaskedAggregate):
    """As under masks: sums modulo 2^b, and the nonces that are in them."""


@dataclass(frozen=True)
class Part:
    """What a member of a group sends to open a closed set.

    first: the server's first block. closed: a digest of the set. words: (rows, bytes) packed: the masks of
    its group, taken out. number: (16,) likewise of tags. nonces: (rows, 12) of the next tables, from group 0
    alone, which also takes the old mask of tables out and puts the new one on."""

    first: int
    group: int
    member: int
    closed: bytes
    words: Bytes
    number: Bytes
    nonces: Bytes | None
    signature: bytes = b""

    @property
    def nbytes(self) -> int:
        nonces = 0 if self.nonces is None else self.nonces.nbytes
        return len(self.closed) + self.words.nbytes + self.number.nbytes + nonces + len(self.signature)


@dataclass(frozen=True)
class Certificate:
    """A member's word for the next tables. tag: (16,) of what they keep. signatures: of heads, by the first
    block of a server."""

    member: int
    tag: Bytes
    signature: bytes

    @property
    def nbytes(self) -> int:
        return self.tag.nbytes + len(self.signature)
