"""What of each user's ratings is held out from training."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt, MaxLen, MinLen
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS

_FRACTION_STREAM, _FOLD_STREAM = 3, 9
"""docs/architecture.md lists the streams of a seed."""

_MOST = 1 - 1e-6


@dataclass(frozen=True)
class Split:
    """What is held out as test set: one of ``last``, ``fraction`` and ``folds``, a split that somebody else
    made (``file`` or ``column``), or nothing.

    A random split depends on the seed and the user id alone, so a user can make it where it lives.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    last: Annotated[int, Ge(0), Le(10**5)] = 0
    """The last h ratings of each user by timestamp; 1 is leave-last-out."""
    fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    """A random share of each user's ratings, drawn from the seed and the user id."""
    folds: Annotated[int, Ge(2), Le(10**4)] | None = None
    """Deal each user's ratings into so many parts, at random from the seed and the user id ..."""
    fold: Annotated[int, Ge(0)] = 0
    """... and hold out this one, counted from 0. The folds of one seed are disjoint and hold every rating."""
    validation: Annotated[int, Ge(0)] | None = None
    """To choose settings: test on this fold, and leave ``fold`` out of everything, to judge the choice."""
    file: Annotated[str, MinLen(1), MaxLen(4000)] | None = None
    """The test ratings, in a file with the columns of ``ratings.path``, which then holds those for training.
    A relative path starts at the scenario file. Test ratings of users who have none for training are left
    out, and counted in a note."""
    column: Annotated[str, MinLen(1), MaxLen(200)] | None = None
    """A column of the ratings file that says of each rating whether it is for the test: test or train, true
    or false, 1 or 0, yes or no."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.last, self.fraction, self.folds, self.file, self.column))) > 1:
            raise ValueError("give one of last, fraction and folds, or of file and column")
        if self.fraction > _MOST:
            raise ValueError(f"fraction: {self.fraction!r} leaves nothing to train on: at most {_MOST}")
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold: {self.fold} must be below folds ({self.folds or 'not given'})")
        if self.validation is not None and (
            self.validation >= (self.folds or 0) or self.validation == self.fold
        ):
            raise ValueError(f"validation: {self.validation} must be below folds and another one than fold")
        if self.validation is not None and self.folds == 2:
            raise ValueError("validation: two folds leave nothing to train on")

    @property
    def given(self) -> bool:
        """Whether somebody else has made it."""
        return bool(self.file or self.column)

    def held_out(self, count: int, first: int = 0) -> int:
        """How many of a user's ratings are not for training. first: the fold that gets the first rating."""
        if self.folds:
            parts = {self.fold} if self.validation is None else {self.fold, self.validation}
            return sum(len(range((part - first) % self.folds, count, self.folds)) for part in parts)
        return min(count, self.last) if self.last else round(self.fraction * count)

    @property
    def fewest(self) -> int:
        """The least number of ratings with which a user keeps one for training, in every fold."""
        if self.folds:
            return 2 if self.validation is None else 3
        if self.last:
            return self.last + 1
        # With fewer than 0.5 / (1 - fraction) ratings, all are held out; rounding may shift that by one.
        start = max(1, math.floor(0.5 / (1 - self.fraction)) - 1)
        return next(count for count in itertools.count(start) if count > self.held_out(count))

    def masks(self, seed: int, user_id: int, count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(count,) each: which of a user's ratings, by time, are for training, and which for the test.

        Folds are dealt like cards in random order, so they differ by one rating at most. Which fold gets
        the first rating is drawn for each user: otherwise the first folds would get every user's surplus.
        """
        test, nowhere = np.zeros((2, count), bool)
        if self.folds:
            random = _random(seed, _FOLD_STREAM, user_id)
            first = int(random.integers(self.folds))
            dealt = random.permutation(count)
            held = self.fold if self.validation is None else self.validation
            test[dealt[(held - first) % self.folds :: self.folds]] = True
            if self.validation is not None:
                nowhere[dealt[(self.fold - first) % self.folds :: self.folds]] = True
        elif self.last:
            test[count - self.held_out(count) :] = True
        elif self.fraction:
            random = _random(seed, _FRACTION_STREAM, user_id)
            test[random.choice(count, self.held_out(count), replace=False)] = True
        return ~(test | nowhere), test


def _random(seed: int, stream: int, user_id: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, user_id)))
