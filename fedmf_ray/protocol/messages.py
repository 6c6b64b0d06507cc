"""What travels between users and servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening, Proof

__all__ = ["NOBODY", "Closed", "EncryptedItems", "Opening", "PartialSum", "Proof", "Upload"]

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

NOBODY: Integers = np.array([], np.int64)


@dataclass(frozen=True)
class Upload:
    """One user's encrypted step for the blocks it names, all within one server's range.

    blocks: (k,) int64, strictly increasing.
    ciphertexts: (k, ciphertexts_per_block, bytes) uint8.
    tag: (bytes,) binds round, user and blocks, or None (:mod:`fedmf_ray.schemes.tags`).
    head: of the tables that it is for, where schemes keep heads.
    """

    round: int
    user_id: int
    blocks: Integers
    ciphertexts: Wire
    tag: Wire | None
    head: bytes = b""

    @property
    def nbytes(self) -> int:
        tag = 0 if self.tag is None else self.tag.nbytes
        return int(self.ciphertexts.nbytes + self.blocks.nbytes + tag + len(self.head))


@dataclass(frozen=True)
class PartialSum:
    """Uploads of several users, checked and added up before they reach the server.

    user_ids: (users,) whose. blocks: as of an :class:`Upload`. sums, tags: what the scheme's aggregates give
    of them (tags: None where nothing is tagged).
    """

    round: int
    user_ids: Integers
    blocks: Integers
    sums: Any
    tags: Any
