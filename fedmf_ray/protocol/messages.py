"""What travels between users and the server, and how item rows are cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]


@dataclass(frozen=True)
class EncryptedItems:
    """C_V, or the range of it that one server holds: the encrypted item matrix that opens a round.

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
        """On the wire, but for a few bytes of framing: credits are a bit a user, or less."""
        return self.ciphertexts.nbytes + (0 if self.tag is None else self.tag.nbytes)


@dataclass(frozen=True)
class Upload:
    """One user's encrypted step for the blocks it names, all within one server's range.

    blocks: (k,) int64, strictly increasing.
    ciphertexts: (k, ciphertexts_per_block, bytes) uint8.
    tag: (bytes,) binds round, user and blocks, or None (:mod:`fedmf_ray.schemes.paillier.tags`).
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


@dataclass(frozen=True)
class ItemBlocks:
    """How item rows are grouped for encryption: ``rows`` consecutive rows make one block.

    A block is what is encrypted, uploaded and added as one: as many rows as share ciphertexts that one row
    would leave half empty. Who uploads a row uploads its block, zeros for the others. The last block is
    filled up with zeros.

    width: columns of a row. borders: (servers + 1,) where the ranges of blocks begin that each server holds,
    and the last one's end.
    """

    items: int
    width: int
    rows: int = 1
    servers: int = 1

    @property
    def count(self) -> int:
        return -(-self.items // self.rows)

    @property
    def columns(self) -> int:
        """Values per block."""
        return self.rows * self.width

    @property
    def borders(self) -> list[int]:
        return [self.count * at // self.servers for at in range(self.servers + 1)]

    def join(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(items, width) to (blocks, columns)."""
        padded = np.zeros((self.count * self.rows, self.width))
        padded[: self.items] = matrix
        return padded.reshape(self.count, self.columns)

    def cut(self, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
        """(blocks, columns) to (items, width)."""
        return blocks.reshape(-1, self.width)[: self.items]
