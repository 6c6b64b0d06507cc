"""What travels between users and the server, and how item rows are cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EncryptedItems:
    """C_V: the encrypted item matrix that opens a round.

    ciphertexts: (blocks, ciphertexts_per_block, bytes) uint8.
    """

    round: int
    ciphertexts: NDArray[np.uint8]


@dataclass(frozen=True)
class Upload:
    """One user's encrypted step for the blocks it names.

    blocks: (k,) int64, strictly increasing.
    ciphertexts: (k, ciphertexts_per_block, bytes) uint8.
    """

    round: int
    user_id: int
    blocks: NDArray[np.int64]
    ciphertexts: NDArray[np.uint8]


@dataclass(frozen=True)
class ItemBlocks:
    """How item rows are grouped for encryption: ``rows`` consecutive rows make one block.

    A block is what is encrypted, uploaded and added as one. In part text a block is one row, so that a
    user uploads no more than it must; in full text several rows share ciphertexts that one row would
    leave half empty. The last block is filled up with zeros.
    """

    items: int
    factors: int
    rows: int = 1

    @property
    def count(self) -> int:
        return -(-self.items // self.rows)

    @property
    def columns(self) -> int:
        """Values per block."""
        return self.rows * self.factors

    def join(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(items, factors) to (blocks, columns)."""
        padded = np.zeros((self.count * self.rows, self.factors))
        padded[: self.items] = matrix
        return padded.reshape(self.count, self.columns)

    def cut(self, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
        """(blocks, columns) to (items, factors)."""
        return blocks.reshape(-1, self.factors)[: self.items]
