"""Words of b bits on the wire, b bits each: whole bytes by planes, what is left eight values at a time.

A row of values is written as its planes, one after the other: the low 32 bits of all values (if b is 32 or
more), then 16, then 8 as they fit, and the remaining r < 8 bits of eight values in r bytes. So NumPy moves
whole arrays, and a row takes (columns * b) / 8 bytes, rounded up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import compiled
from fedmf_ray.schemes.sides import Shape

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Words = NDArray[Any]

_PLANES = (32, 16, 8)
_CHUNK_VALUES = 1 << 16


@dataclass(frozen=True)
class BitLayout:
    """Rows of so many columns of so many bits, 2 to 64."""

    columns: int
    bits: int

    @classmethod
    def of(cls, shape: Shape) -> BitLayout:
        return cls(shape.columns, shape.value_bits)

    @cached_property
    def word(self) -> np.dtype[Any]:
        """What a value is computed in."""
        return np.dtype("<u4" if self.bits <= 32 else "<u8")

    @cached_property
    def row_bytes(self) -> int:
        return -(-self.columns * self.bits // 8)

    def chunks(self, rows: int) -> Iterator[slice]:
        """So many rows in pieces whose arrays stay in a core's own cache."""
        step = max(1, _CHUNK_VALUES // self.columns)
        return (slice(first, min(first + step, rows)) for first in range(0, rows, step))

    @cached_property
    def _planes(self) -> list[tuple[int, int, int]]:
        """Bits of each plane, how far up they are, and where its bytes begin."""
        planes, shift, at, left = list[tuple[int, int, int]](), 0, 0, self.bits
        for size in _PLANES:
            while left >= size:
                planes.append((size, shift, at))
                shift, left, at = shift + size, left - size, at + self.columns * size // 8
        return planes + ([(left, shift, at)] if left else [])

    def pack(self, words: Words, out: Bytes) -> None:
        """(rows, columns) of :attr:`word` into (rows, row_bytes); higher bits are left out."""
        if compiled.pack(words, None, out, self.bits):
            return
        for size, shift, at in self._planes:
            part = words >> self.word.type(shift) if shift else words
            if size >= 8:
                plane = part.astype(f"<u{size // 8}").view(np.uint8)
            else:
                plane = self._squeeze(part.astype(np.uint8), size)
            out[:, at : at + plane.shape[1]] = plane

    def pack_sum(self, words: Words, integers: Integers, out: Bytes) -> None:
        """:meth:`pack` of words and of (rows, columns) int64 that are added to them; words may change."""
        if not compiled.pack(words, integers, out, self.bits):
            words += integers.astype(self.word)
            self.pack(words, out)

    def opened(self, packed: Bytes, masks: Words) -> Integers:
        """(rows, columns) int64: what is packed, without masks."""
        integers = np.empty(masks.shape, np.int64)
        if compiled.open_rows(packed, masks, integers, self.bits):
            return integers
        words = self.unpack(packed)
        words -= masks
        return self.signed(words)

    def add_to(self, words: Words, rows: Integers, packed: Bytes) -> bool:
        """Add packed rows to those of ``words`` with these numbers, if that is compiled."""
        return compiled.unpack(packed, words, self.bits, rows)

    def unpack(self, packed: Bytes) -> Words:
        """The inverse of :meth:`pack`."""
        out = np.empty((len(packed), self.columns), self.word)
        if compiled.unpack(packed, out, self.bits):
            return out
        words: Words | None = None
        for size, shift, at in self._planes:
            if size >= 8:
                plane = np.ascontiguousarray(packed[:, at : at + self.columns * size // 8])
                part = plane.view(f"<u{size // 8}").astype(self.word)
            else:
                part = self._spread(packed[:, at:], size).astype(self.word)
            if shift:
                part <<= self.word.type(shift)
            words = part if words is None else np.bitwise_or(words, part, out=words)
        assert words is not None
        return words

    def _squeeze(self, low: Bytes, size: int) -> Bytes:
        """(rows, columns) bytes of which ``size`` bits count to (rows, their bytes)."""
        rows, groups = len(low), -(-self.columns // 8)
        eights = np.zeros((rows, groups * 8), np.uint8)
        np.bitwise_and(low, (1 << size) - 1, out=eights[:, : self.columns])
        words: NDArray[np.uint64] = eights.view("<u8")
        for half in (8, 16, 32):  # two neighbours become one, three times
            held = size * half // 8
            even = _mask(held, 2 * half)
            words = (words & even) | ((words >> np.uint64(half - held)) & (even << np.uint64(held)))
        squeezed = words.view(np.uint8).reshape(rows, groups, 8)[:, :, :size]
        return squeezed.reshape(rows, groups * size)[:, : -(-self.columns * size // 8)]

    def _spread(self, squeezed: Bytes, size: int) -> Bytes:
        rows, groups = len(squeezed), -(-self.columns // 8)
        padded = np.zeros((rows, groups * size), np.uint8)
        padded[:, : squeezed.shape[1]] = squeezed
        eights = np.zeros((rows, groups, 8), np.uint8)
        eights[:, :, :size] = padded.reshape(rows, groups, size)
        words: NDArray[np.uint64] = eights.reshape(rows, groups * 8).view("<u8")
        for half in (32, 16, 8):
            held = size * half // 8
            low = _mask(held, 2 * half)
            words = (words & low) | ((words & (low << np.uint64(held))) << np.uint64(half - held))
        return words.view(np.uint8)[:, : self.columns]

    def signed(self, words: Words) -> NDArray[np.int64]:
        """Words modulo 2^b, whatever is above, to the integers from -2^(b-1) that they stand for."""
        kind = np.dtype("<i4" if self.word.itemsize == 4 else "<i8")
        spare = kind.type(8 * self.word.itemsize - self.bits)
        signed: NDArray[Any] = words.view(kind)
        return np.asarray(((signed << spare) >> spare).astype(np.int64))


def _mask(held: int, half: int) -> np.uint64:
    """The lowest ``held`` bits of every ``half`` bits."""
    lowest = (1 << held) - 1
    return np.uint64(sum(lowest << at for at in range(0, 64, half)))
