"""Integers of any size as arrays of bytes: how keys and balances are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def numbers_to_array(numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Non-negative integers of any size as (count, bytes) uint8, little endian."""
    width = max((number.bit_length() for number in numbers), default=0) // 8 + 1
    packed = b"".join(int(number).to_bytes(width, "little") for number in numbers)
    return np.frombuffer(packed, np.uint8).reshape(len(numbers), width)


def array_to_numbers(array: NDArray[np.uint8]) -> list[int]:
    """The inverse of :func:`numbers_to_array`."""
    return [int.from_bytes(row.tobytes(), "little") for row in array]
