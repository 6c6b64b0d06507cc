"""The compiled way of what takes most time under masks, where the extension was built: the same bytes as the
NumPy path. AES stays the library's.

Without it, with ``FEDMF_MASKS=numpy``, or for sizes that it does not have, functions here say False or None,
and NumPy does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.compiled import extension

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Words = NDArray[Any]

_MOST_COLUMNS = 4096
_NUMBER_BYTES = 16
_MOST_NONCES = 1 << 17
"""Of which a table of places stays in a cache."""

_NATIVE = extension("fedmf_ray.schemes.masked._masks", "FEDMF_MASKS")


def available() -> bool:
    """Whether the extension is in use."""
    return _NATIVE is not None


def pack(words: Words, integers: Integers | None, out: Bytes, bits: int) -> bool:
    """:meth:`~.bits.BitLayout.pack` of words, and of integers added to them if there are any."""
    if _NATIVE is None or words.shape[1] > _MOST_COLUMNS:
        return False
    _NATIVE.pack(words, integers, out, bits)
    return True


def unpack(packed: Bytes, out: Words, bits: int, targets: Integers | None = None) -> bool:
    """:meth:`~.bits.BitLayout.unpack`. targets: the rows of ``out`` to which it is added."""
    if _NATIVE is None or out.shape[1] > _MOST_COLUMNS:
        return False
    _NATIVE.unpack(packed, out, targets if targets is None else np.ascontiguousarray(targets), bits)
    return True


def open_rows(packed: Bytes, masks: Words, out: Integers, bits: int) -> bool:
    """Packed rows without their masks, as signed integers."""
    if _NATIVE is None or masks.shape[1] > _MOST_COLUMNS:
        return False
    _NATIVE.open_rows(packed, masks, out, bits)
    return True


def take_off(words: Words, targets: Integers, masks: Words) -> bool:
    """Subtract each row of masks from a row of words; one may come several times."""
    if _NATIVE is None or words.shape[1] > _MOST_COLUMNS:
        return False
    _NATIVE.take_off(words, masks, np.ascontiguousarray(targets))
    return True


def put_on(words: Words, targets: Integers, numbers: Words) -> bool:
    """Add each row of numbers to a row of words; one may come several times."""
    if _NATIVE is None or not 0 < words.shape[1] <= _MOST_COLUMNS:
        return False
    _NATIVE.put_on(words, numbers, np.ascontiguousarray(targets))
    return True


def counters(nonces: Bytes, blocks: int) -> Bytes | None:
    """(k * blocks * 16,) what AES encrypts to so many blocks for each nonce, (k, 12)."""
    if _NATIVE is None:
        return None
    out = np.empty(len(nonces) * blocks * 16, np.uint8)
    _NATIVE.counters(np.ascontiguousarray(nonces), out, blocks)
    return out


def totals(numbers: Bytes, cuts: Sequence[tuple[int, int]]) -> list[int] | None:
    """:func:`~.field.totals`."""
    if _NATIVE is None:
        return None
    out = np.empty((len(cuts), _NUMBER_BYTES), np.uint8)
    _NATIVE.totals(np.ascontiguousarray(numbers), np.array(cuts, np.int64).reshape(-1, 2), out)
    return _integers(out)


def repeated(nonces: Bytes) -> bool | None:
    """:func:`~.wire.repeated`, of fewer than are worth sorting."""
    if _NATIVE is None or len(nonces) > _MOST_NONCES:
        return None
    found: bool = _NATIVE.repeated(np.ascontiguousarray(nonces))
    return found


def weigh(
    integers: Integers,
    columns: Bytes,
    rows: Bytes,
    blocks: Integers,
    cuts: Sequence[tuple[int, int]],
    bits: int,
) -> list[int] | None:
    """:func:`~.field.weighted_sums`. columns, rows: (k, 16) weights; blocks: which of the latter each row
    has."""
    if not _weighs(integers, bits):
        return None
    out = np.empty((len(cuts), _NUMBER_BYTES), np.uint8)
    borders = np.array(cuts, np.int64).reshape(-1, 2)
    _NATIVE.weigh(_rows(integers), columns, rows, np.ascontiguousarray(blocks), borders, out, bits)
    return _integers(out)


def row_sums(integers: Integers, columns: Bytes, pads: Bytes, bits: int) -> Bytes | None:
    """(rows, 16) the weighted sum of each row and a pad, modulo p."""
    if not _weighs(integers, bits):
        return None
    out = np.empty((len(integers), _NUMBER_BYTES), np.uint8)
    _NATIVE.row_sums(_rows(integers), columns, np.ascontiguousarray(pads), out, bits)
    return out


def _integers(numbers: Bytes) -> list[int]:
    text = numbers.tobytes()
    return [int.from_bytes(text[at : at + 16], "little") for at in range(0, len(text), 16)]


def _rows(integers: Integers) -> Integers:
    return integers if integers.strides[1] == integers.itemsize else np.ascontiguousarray(integers)


def _weighs(integers: Integers, bits: int) -> bool:
    """Whether its sums have room in 127 bits."""
    columns: int = integers.shape[1]
    if _NATIVE is None or not 0 < columns <= _MOST_COLUMNS:
        return False
    return 62 + bits + (columns - 1).bit_length() <= 126
