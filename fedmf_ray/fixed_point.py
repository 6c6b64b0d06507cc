"""Real numbers as integers on a fixed grid, and how many bits their sums can need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError

LARGEST_SLOT_BITS = 57
"""A slot that begins anywhere in a byte must fit eight bytes to be cut out of a plaintext in one step."""


class Grid(Protocol):
    """How the columns of a matrix become integers: all alike (:class:`FixedPoint`), or not."""

    @property
    def slot_bits(self) -> int:
        """Bits that hold any sum the bounds allow, sign included (a bound, not an estimate)."""

    @property
    def main(self) -> FixedPoint:
        """What a scenario calls fraction_bits, value_bound and update_bound, of a value as it is."""

    @property
    def value_bounds(self) -> NDArray[np.float64]:
        """(k,) largest absolute values between rounds; the columns of a matrix repeat them."""

    @property
    def update_bounds(self) -> NDArray[np.float64]:
        """(k,) largest absolute steps of one user in one round."""

    def to_integers(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Round to the grid. Values must be finite and within the bounds (callers check and name them)."""

    def to_floats(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real numbers that grid integers stand for; exact below 2**53."""


@dataclass(frozen=True)
class FixedPoint:
    """One grid, on which item values and updates live, and their hard bounds.

    A value x is stored as the integer rint(x * 2**fraction_bits) (ties to even, as ``phe`` does). At
    fraction_bits=20 this is the grid of ``phe``'s ``precision=1e-5``, that is 16**-5. Integer sums are
    exact, so the order in which updates arrive cannot matter.

    Attributes
    ----------
    fraction_bits: bits after the point.
    value_bound: largest |v| that an item matrix may hold between rounds.
    update_bound: largest |x| that one user may add to one entry in one round.
    contributors: how many users may add to one entry in one round.
    """

    fraction_bits: int
    value_bound: float
    update_bound: float
    contributors: int

    def __post_init__(self) -> None:
        if self.slot_bits > LARGEST_SLOT_BITS:
            raise FedMFError(
                f"protocol: a sum of value_bound {self.value_bound:g} and {self.contributors} updates of "
                f"at most {self.update_bound:g} with {self.fraction_bits} fraction bits needs "
                f"{self.slot_bits} bits and no slot holds more than {LARGEST_SLOT_BITS}: lower "
                "protocol.fraction_bits, value_bound or update_bound"
            )

    @property
    def slot_bits(self) -> int:
        """Bits that hold any sum the bounds allow, sign included (a bound, not an estimate)."""
        peak = self._grid(self.value_bound) + self.contributors * self._grid(self.update_bound)
        return 1 + peak.bit_length()

    @property
    def main(self) -> FixedPoint:
        return self

    @property
    def value_bounds(self) -> NDArray[np.float64]:
        return np.array([self.value_bound])

    @property
    def update_bounds(self) -> NDArray[np.float64]:
        return np.array([self.update_bound])

    def _grid(self, bound: float) -> int:
        return round(bound * (1 << self.fraction_bits))

    def to_integers(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Round to the grid. Values must be finite and within the bounds (callers check and name them)."""
        scaled = values * float(1 << self.fraction_bits)  # exact: a power of two
        return np.rint(scaled, out=scaled).astype(np.int64)

    def to_floats(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real numbers that grid integers stand for; exact below 2**53."""
        values = integers.astype(np.float64)
        values *= 1.0 / (1 << self.fraction_bits)
        return values


@dataclass(frozen=True)
class MixedGrid:
    """Columns of different kinds: (how many, on which grid), from left to right, row after row.

    One slot width serves all of them, the widest that one needs. main: as of :class:`Grid`.
    """

    main: FixedPoint
    parts: tuple[tuple[int, FixedPoint], ...]

    @cached_property
    def slot_bits(self) -> int:
        return max(point.slot_bits for _, point in self.parts)

    @cached_property
    def value_bounds(self) -> NDArray[np.float64]:
        return self._columns([point.value_bound for _, point in self.parts])

    @cached_property
    def update_bounds(self) -> NDArray[np.float64]:
        return self._columns([point.update_bound for _, point in self.parts])

    @cached_property
    def _scales(self) -> NDArray[np.float64]:
        return self._columns([float(1 << point.fraction_bits) for _, point in self.parts])

    def to_integers(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        scaled = values * repeated(self._scales, values.shape[-1])  # exact: powers of two
        return np.rint(scaled, out=scaled).astype(np.int64)

    def to_floats(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        values = integers.astype(np.float64)
        values *= 1.0 / repeated(self._scales, integers.shape[-1])
        return values

    def _columns(self, numbers: list[float]) -> NDArray[np.float64]:
        return np.repeat(np.array(numbers), [count for count, _ in self.parts])


def repeated(numbers: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """(k,) over and over, up to (columns,)."""
    return np.resize(numbers, columns)


def first_beyond(values: NDArray[np.float64], bounds: NDArray[np.float64]) -> tuple[int, int] | None:
    """Row and column of the first value beyond its column's bound, or NaN; None if there is none.

    values: (rows, columns). bounds: (k,), repeated over the columns.
    """
    if not values.size:
        return None
    limits = repeated(bounds, values.shape[1])
    if (values.max(axis=0) <= limits).all() and (-values.min(axis=0) <= limits).all():  # neither if NaN
        return None
    row, column = np.argwhere(~(np.abs(values) <= limits))[0].tolist()
    return row, column
