"""Many signed integers in one Paillier plaintext: signed Kronecker packing.

Slot i of b bits sits at bit b*i, so a plaintext is m = sum(q_i * 2**(b*i)) with signed q_i, and sums of
plaintexts are sums slot by slot as long as every |sum| < 2**(b-1). Encoding goes through unsigned
slots u_i = q_i + 2**(b-1) and subtracts K = sum(2**(b*i + b-1)) again *before* encryption: no count of
summands is needed to decode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
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

    def encode(self, integers: NDArray[np.int64]) -> list[mpz]:
        """Pack (rows, columns) int64 into rows * ciphertexts_per_row signed plaintexts, row by row.

        Raises ``OverflowError`` when a value does not fit its slot.
        """
        half = 1 << (self.slot_bits - 1)
        if integers.size and not (-half <= integers.min() and integers.max() < half):
            raise OverflowError(f"a value does not fit a slot of {self.slot_bits} bits")
        unsigned = (integers + half).astype(self._word)
        plaintexts: list[mpz] = []
        for chunk in self._chunks(unsigned):
            bits = np.unpackbits(_as_bytes(chunk), axis=-1, bitorder="little")[..., : self.slot_bits]
            pieces = []
            for start, stop in self._ranges():
                row_bits = bits[:, start:stop].reshape(len(chunk), -1)
                pieces.append((np.packbits(row_bits, axis=-1, bitorder="little"), self._offset(stop - start)))
            plaintexts += [
                mpz.from_bytes(packed[row].tobytes(), "little") - offset
                for row in range(len(chunk))
                for packed, offset in pieces
            ]
        return plaintexts

    def decode(self, plaintexts: Sequence[mpz]) -> NDArray[np.int64]:
        """Undo :meth:`encode` for sums: signed plaintexts to (rows, columns) int64.

        Raises ``OverflowError`` when a plaintext lies outside what the layout can hold, as it does
        after an overflow or under a wrong key.
        """
        per_row = self.ciphertexts_per_row
        rows = len(plaintexts) // per_row
        integers = np.empty((rows, self.columns), np.int64)
        for piece, (start, stop) in enumerate(self._ranges()):
            slots = stop - start
            offset, bits, size = self._offset(slots), slots * self.slot_bits, -(-slots * self.slot_bits // 8)
            shifted = [plaintext + offset for plaintext in plaintexts[piece::per_row]]
            if any(value < 0 or gmpy2.bit_length(value) > bits for value in shifted):
                raise OverflowError(f"a plaintext does not fit {slots} slots of {self.slot_bits} bits")
            buffer = b"".join(value.to_bytes(size, "little") for value in shifted)
            packed = np.frombuffer(buffer, np.uint8).reshape(rows, size)
            integers[:, start:stop] = self._unpack(packed, slots)
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

    def _offset(self, slots: int) -> mpz:
        """K = sum over slots of 2**(b*i + b-1)."""
        b = self.slot_bits
        return mpz(2) ** (b - 1) * ((mpz(2) ** (b * slots) - 1) // (mpz(2) ** b - 1))

    def _chunks(self, unsigned: NDArray[np.unsignedinteger]) -> list[NDArray[np.unsignedinteger]]:
        step = max(1, _CHUNK_VALUES // self.columns)
        return [unsigned[first : first + step] for first in range(0, len(unsigned), step)]


def _as_bytes(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, words.itemsize)
