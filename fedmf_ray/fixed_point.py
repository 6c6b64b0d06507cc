"""Real numbers as integers on a fixed grid, and how many bits their sums can need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError

LARGEST_SLOT_BITS = 57
"""A slot that begins anywhere in a byte must fit eight bytes to be cut out of a plaintext in one step."""

_HOPELESS = 1000.0
"""Times a bound: what is larger has diverged, and no bound would do."""


@dataclass(frozen=True)
class FixedPoint:
    """One grid, on which values and updates live, and their hard bounds.

    A value x is stored as the integer rint(x * 2**fraction_bits) (ties to even, as ``phe`` does). At
    fraction_bits=20 this is the grid of ``phe``'s ``precision=1e-5``, that is 16**-5. Integer sums are
    exact, so the order in which updates arrive cannot matter.

    Attributes
    ----------
    fraction_bits: bits after the point.
    value_bound: largest |v| that a table may hold between rounds.
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
    def round_bits(self) -> int:
        """Bits that hold the sum of one round alone, sign included."""
        return 1 + (self.contributors * self._grid(self.update_bound)).bit_length()

    @property
    def scale(self) -> float:
        """What a value is multiplied by: a power of two, so that nothing is lost."""
        return float(1 << self.fraction_bits)

    def _grid(self, bound: float) -> int:
        return round(bound * (1 << self.fraction_bits))


def to_integers(values: NDArray[np.float64], scale: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to the grid. Values must be finite and within their bounds (callers check and name them)."""
    scaled = values * scale
    return np.rint(scaled, out=scaled).astype(np.int64)


def to_floats(integers: NDArray[np.int64], scale: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """The real numbers that grid integers stand for; exact below 2**53."""
    values = integers.astype(np.float64)
    values *= 1.0 / scale
    return values


def would_do(values: NDArray[np.float64], bounds: NDArray[np.float64], setting: float) -> str:
    """How large the largest value is in terms of a setting, and which one would have held it, in words for a
    person: ``up to 0.83: 1 would do``. Nothing where training has left all bounds behind.

    values, bounds: as of :func:`first_beyond`. setting: to which the bounds are in proportion, about.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        over = float(np.max(np.abs(values) / np.resize(bounds, values.shape[1])))
    if not 1 < over <= _HOPELESS:  # also if NaN
        return ""
    return f" (up to {over * setting:.3g}: {setting * 2 ** math.ceil(math.log2(over)):g} would do)"


def first_beyond(values: NDArray[np.float64], bounds: NDArray[np.float64]) -> tuple[int, int] | None:
    """Row and column of the first value beyond its column's bound, or NaN; None if there is none.

    values: (rows, columns). bounds: (k,), repeated over the columns.
    """
    if not values.size:
        return None
    # One maximum of all takes a tenth of the time of a comparison with each, and most tables have one bound.
    least = bounds.min()
    if values.max() <= least and -values.min() <= least:  # neither if NaN
        return None
    within = np.abs(values) <= np.resize(bounds, values.shape[1])
    if within.all():
        return None
    row, column = np.argwhere(~within)[0].tolist()
    return row, column
