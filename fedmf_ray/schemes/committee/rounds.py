"""What a user shares with each group in one round: masks, pads of tags, and what lists of rows are checked
with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee.wire import LIST_BYTES, UPLOAD_NONCE_BYTES
from fedmf_ray.schemes.masked.rounds import Round
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, Stream, mac

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


def row_nonces(nonce: Bytes, labels: Integers) -> Bytes:
    """(k, 12): the nonce of an upload (8), and where each row is in the server's range."""
    nonces = np.empty((len(labels), NONCE_BYTES), np.uint8)
    nonces[:, :UPLOAD_NONCE_BYTES] = nonce
    nonces[:, UPLOAD_NONCE_BYTES:] = labels.astype("<u4")[:, None].view(np.uint8)
    return nonces


class UserRound:
    """agreed: what the user shares with each group. head: of the tables that opened the round."""

    def __init__(self, agreed: Sequence[bytes], head: bytes) -> None:
        self._agreed, self._head = agreed, head

    def another(self) -> UserRound:
        """The same, for another thread."""
        return UserRound(self._agreed, self._head)

    @cached_property
    def _streams(self) -> list[Stream]:
        return [Stream(mac(key, b"masks", self._head)) for key in self._agreed]

    def of_group(self, group: int, nonces: Bytes, columns: int, word: np.dtype[Any]) -> NDArray[Any]:
        """(k, columns) the masks that one group can take off."""
        return self._streams[group].words(nonces, columns, word)

    def words(self, nonces: Bytes, columns: int, word: np.dtype[Any]) -> NDArray[Any]:
        """(k, columns) the masks of all groups together."""
        total = self.of_group(0, nonces, columns, word)
        for group in range(1, len(self._agreed)):
            total = total + self.of_group(group, nonces, columns, word)
        return total

    def group_pad(self, group: int, nonce: Bytes) -> int:
        return int.from_bytes(mac(self._agreed[group], b"pad", self._head, nonce.tobytes()), "little")

    def pad(self, nonce: Bytes) -> int:
        """Of the tag of an upload."""
        return sum(self.group_pad(group, nonce) for group in range(len(self._agreed)))

    def group_list(self, group: int, nonce: Bytes, listed: bytes) -> bytes:
        """For a group, that an upload has these rows and no others. listed: of :func:`digest_of`."""
        return mac(self._agreed[group], b"list", self._head, nonce.tobytes(), listed)[:LIST_BYTES]

    def lists(self, nonce: Bytes, labels: Integers) -> Bytes:
        """(groups * 16,) of all groups."""
        listed = digest_of(labels)
        parts = [self.group_list(group, nonce, listed) for group in range(len(self._agreed))]
        return np.frombuffer(b"".join(parts), np.uint8)


def digest_of(labels: Integers) -> bytes:
    """Of the rows of an upload."""
    return hashlib.sha256(labels.astype("<u4").tobytes()).digest()


class GroupStream:
    """The masks of all groups as one stream."""

    def __init__(self, keyed: UserRound) -> None:
        self._keyed = keyed

    def another(self) -> GroupStream:
        """The same, for another thread."""
        return GroupStream(self._keyed.another())

    def words(self, nonces: Bytes, columns: int, word: np.dtype[Any]) -> NDArray[Any]:
        return self._keyed.words(nonces, columns, word)


class NobodysRound(Round):
    """Rows that nobody uploads are under masks of all groups, too."""

    def __init__(self, secret: bytes, head: bytes, agreed: Sequence[bytes]) -> None:
        super().__init__(secret, head)
        self._agreed, self._keyed = agreed, UserRound(agreed, head)

    def another(self) -> NobodysRound:
        return NobodysRound(self._secret, self._head, self._agreed)

    @cached_property
    def uploads(self) -> Any:
        return GroupStream(self._keyed)
