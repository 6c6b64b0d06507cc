"""What travels between users and servers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.base import Closed, Opening

__all__ = ["NOBODY", "Closed", "EncryptedItems", "Opening", "PartialSum", "Upload"]

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

NOBODY: Integers = np.array([], np.int64)


@dataclass(frozen=True)
class EncryptedItems:
    """C_V, or the range of it that one server holds: the encrypted tables that open a round.

    first: the block that comes first. ciphertexts: (blocks, ciphertexts_per_block, bytes) uint8.
    tag: (bytes,) the encrypted sum of tags, or None where nothing is tagged.
    credited: (k,) increasing ids of the users whose uploads the server says it added to the matrix before.
    """

    round: int
    first: int
    ciphertexts: Wire
    tag: Wire | None
    credited: Integers

    @property
    def nbytes(self) -> int:
        """On the wire, but for a few bytes of framing: credits are a bit per user, or less."""
        return self.ciphertexts.nbytes + (0 if self.tag is None else self.tag.nbytes)


@dataclass(frozen=True)
class Upload:
    """One user's encrypted step for the blocks it names, all within one server's range.

    blocks: (k,) int64, strictly increasing.
    ciphertexts: (k, ciphertexts_per_block, bytes) uint8.
    tag: (bytes,) binds round, user and blocks, or None (:mod:`fedmf_ray.schemes.tags`).
    """

    round: int
    user_id: int
    blocks: Integers
    ciphertexts: Wire
    tag: Wire | None

    @property
    def nbytes(self) -> int:
        tag = 0 if self.tag is None else self.tag.nbytes
        return int(self.ciphertexts.nbytes + self.blocks.nbytes + tag)


@dataclass(frozen=True)
class PartialSum:
    """Uploads of several users, checked and added up before they reach the server.

    user_ids: (users,) whose. blocks, ciphertexts, tag: as of an :class:`Upload`.
    """

    round: int
    user_ids: Integers
    blocks: Integers
    ciphertexts: Wire
    tag: Wire | None
