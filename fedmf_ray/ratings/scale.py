"""The scale of ratings: the lowest and the highest, and what lies between.

Users report the minimum, the maximum and the step of what they train on. Everybody who takes part, and every
adversary, knows the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS

Floats = NDArray[np.float64]

_MOST_STEPS = 10_000
"""Of a scale. With more, ratings count as numbers on no grid."""

_DECIMALS = 6
_TOLERANCE = 1e-6
"""Share of a step by which a rating may be off its grid: files round decimals."""

_RELATIVE = 1e-12
"""The same, for what a decimal loses as a float."""

_RELEVANT = 7 / 9
"""How far up the scale ratings begin that a list should find: four stars of 0.5 to 5."""


@dataclass(frozen=True)
class Scale:
    """From which numbers people choose."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    low: Annotated[float, Ge(-1e6), Le(1e6)]
    """The lowest rating that can be given."""
    high: Annotated[float, Ge(-1e6), Le(1e6)]
    """The highest."""
    step: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Between one possible rating and the next; if not given, the largest one that all ratings fit."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low: {self.low!r} must not be above high ({self.high!r})")
        if self.step is not None:
            steps = (self.high - self.low) / self.step
            if abs(steps - round(steps)) > _TOLERANCE * max(1.0, steps) or steps < 1:
                raise ValueError(f"step: {self.step!r} does not lead from low to high in whole steps")
            if steps > _MOST_STEPS:
                raise ValueError(f"step: {self.step!r} makes more than {_MOST_STEPS:,} steps")

    def __str__(self) -> str:
        step = "on no grid" if self.step is None else f"in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g} {step}"

    @property
    def length(self) -> float:
        """Above 0, also where all ratings are equal."""
        return self.high - self.low or 1.0

    @property
    def grid(self) -> Floats:
        """All possible ratings, evenly spaced and increasing; raises ``ValueError`` if there is no step."""
        if self.step is None:
            raise ValueError("the scale has no step")
        return np.linspace(self.low, self.high, round((self.high - self.low) / self.step) + 1)

    @property
    def relevant_from(self) -> float:
        """Where the upper part of the scale begins that lists should find: low + 7/9 (high - low), moved to
        the nearest possible rating: 4 of 0.5 to 5 or of 1 to 5, 8 of 1 to 10."""
        up = _RELEVANT * (self.high - self.low)
        if self.step is not None:
            up = math.floor(up / self.step + 0.5) * self.step
        return self.low + up

    def off(self, values: Floats) -> int | None:
        """The position of the first of some ratings that cannot be given; None if all can."""
        slack = _TOLERANCE * (self.step or self.length)
        wrong = (values < self.low - slack) | (values > self.high + slack)
        if self.step is not None:
            steps = (values - self.low) / self.step
            wrong |= np.abs(steps - np.rint(steps)) > _TOLERANCE * np.maximum(1.0, steps)
        return int(np.argmax(wrong)) if wrong.any() else None

    def rounded(self, mean: float) -> float:
        """A mean of ratings, to about a hundredth of the scale: as much as predictions gain from, and too
        coarse to tell one rating among many."""
        return round(mean, 1 - math.floor(math.log10(self.length)))


def inferred(values: Floats) -> Scale:
    """Minimum, maximum and step of ratings (n,). What users report of their own gives the same: the step is
    the greatest common divisor of all differences, if those are decimals with six digits at most."""
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    step = None
    for decimals in range(_DECIMALS + 1):
        scaled = distinct * 10**decimals
        whole = np.rint(scaled)
        if (np.abs(scaled - whole) <= _TOLERANCE + _RELATIVE * np.abs(scaled)).all():
            divisor = int(np.gcd.reduce(np.diff(whole.astype(np.int64)))) if len(distinct) > 1 else 0
            if divisor and (whole[-1] - whole[0]) / divisor <= _MOST_STEPS:
                step = divisor / 10**decimals
            break
    return Scale(low, high, step)


STARS = Scale(0.5, 5.0, 0.5)
"""The scale that most settings were chosen on."""
