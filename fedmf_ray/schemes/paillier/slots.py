"""Many signed integers in one Paillier plaintext: signed Kronecker packing.

Slot i of b bits sits at bit b*i, so a plaintext is m = sum(q_i * 2**(b*i)) with signed q_i, and sums of
plaintexts are sums slot by slot as long as every |sum| < 2**(b-1). Encoding goes through unsigned
slots u_i = q_i + 2**(b-1), and K = sum(2**(b*i + b-1)) is subtracted again *before* encryption: no count of
summands is needed to decode. A *packed* plaintext is m + K, which is not negative, as bytes; whoever
encrypts takes K (the ``offsets``) away, whoever decrypts puts it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK_VALUES = 1 << 15
"""Bit matrices take 32 to 64 bytes a value: chunks of this many values stay in the cache."""


@dataclass(frozen=True)
class SlotLayout:
    """How a row of ``columns`` values is cut into plaintexts.

    Attributes
    ----------
    slot_bits: bits per value, sign included.
    columns: values per row.
    key_bits: bits of the Paillier modulus n.
    """

    slot_bits: int
    columns: int
    key_bits: int

    @property
    def slots_per_ciphertext(self) -> int:
        """How many slots fit: |m| < n/2 must hold and n may be as small as 2**(key_bits - 1)."""
        return (self.key_bits - 2) // self.slot_bits

    @property
    def ciphertexts_per_row(self) -> int:
        return -(-self.columns // self.slots_per_ciphertext)

    @property
    def offsets(self) -> list[int]:
        """K = sum over slots of 2**(b*i + b-1), for each plaintext of a row."""
        b = self.slot_bits
        return [
            (((1 << b * (stop - start)) - 1) // ((1 << b) - 1)) << (b - 1) for start, stop in self._ranges()
        ]

    @property
    def plaintext_bytes(self) -> int:
        """Width of a packed plaintext."""
        return self.key_bits // 8

    def encode(self, integers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pack (rows, columns) int64 into (rows, ciphertexts_per_row, plaintext_bytes) uint8.

        Raises ``OverflowError`` when a value does not fit its slot.
        """
        half = 1 << (self.slot_bits - 1)
        if integers.size and not (-half <= integers.min() and integers.max() < half):
            raise OverflowError(f"a value does not fit a slot of {self.slot_bits} bits")
        packed = np.zeros((len(integers), self.ciphertexts_per_row, self.plaintext_bytes), np.uint8)
        step = max(1, _CHUNK_VALUES // self.columns)
        for first in range(0, len(integers), step):
            chunk = (integers[first : first + step] + half).astype(self._word)
            bits = np.unpackbits(_as_bytes(chunk), axis=-1, bitorder="little")[..., : self.slot_bits]
            for piece, (start, stop) in enumerate(self._ranges()):
                row_bits = bits[:, start:stop].reshape(len(chunk), -1)
                row_bytes = np.packbits(row_bits, axis=-1, bitorder="little")
                packed[first : first + step, piece, : row_bytes.shape[1]] = row_bytes
        return packed

    def decode(self, packed: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Undo :meth:`encode`, for sums too: what it returned to (rows, columns) int64.

        Raises ``OverflowError`` when a plaintext lies outside what the layout can hold, as it does
        after an overflow or under a wrong key.
        """
        integers = np.empty((len(packed), self.columns), np.int64)
        for piece, (start, stop) in enumerate(self._ranges()):
            slots = stop - start
            size, spare = divmod(slots * self.slot_bits, 8)
            if (packed[:, piece, size] >> spare).any() or packed[:, piece, size + 1 :].any():
                raise OverflowError(f"a plaintext does not fit {slots} slots of {self.slot_bits} bits")
            integers[:, start:stop] = self._unpack(packed[:, piece, : size + 1], slots)
        return integers

    def _unpack(self, packed: NDArray[np.uint8], slots: int) -> NDArray[np.int64]:
        """(rows, bytes) to (rows, slots): the eight bytes in which each slot begins, shifted and masked."""
        first_bits = self.slot_bits * np.arange(slots)
        window = ((first_bits // 8)[:, None] + np.arange(8)).ravel()
        shifts, mask = (first_bits % 8).astype(np.uint64), np.uint64((1 << self.slot_bits) - 1)
        unsigned = np.empty((len(packed), slots), np.uint64)
        step = max(1, _CHUNK_VALUES // slots)
        for first in range(0, len(packed), step):
            chunk = np.pad(packed[first : first + step], ((0, 0), (0, 8)))  # the last slot's window overhangs
            words = np.take(chunk, window, axis=1).view("<u8")
            unsigned[first : first + step] = (words >> shifts) & mask
        return unsigned.astype(np.int64) - (1 << (self.slot_bits - 1))

    @property
    def _word(self) -> np.dtype[np.unsignedinteger]:
        return np.dtype("<u4" if self.slot_bits <= 32 else "<u8")

    def _ranges(self) -> list[tuple[int, int]]:
        """First and last column (exclusive) of each plaintext of a row."""
        slots = self.slots_per_ciphertext
        return [(start, min(start + slots, self.columns)) for start in range(0, self.columns, slots)]


def _as_bytes(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, words.itemsize)
