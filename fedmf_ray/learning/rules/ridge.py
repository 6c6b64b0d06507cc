"""The ``ridge`` rule: users solve exactly, items take curvature-scaled steps that are only sums.

The mathematics is in :mod:`~fedmf_ray.learning.rules.ridge_steps`; here is what it keeps of an item,

    v_1 ... v_d | b | L | n

and which of it grows with the raters: the columns of v_j and b_j hold (n_j + c) / (1 + c) times the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.items import Items, user_side
from fedmf_ray.learning.rules import ridge_steps
from fedmf_ray.learning.rules.base import Defaults, Learned, Memory, Rule, Setting
from fedmf_ray.learning.rules.co_ratings import CoRatings
from fedmf_ray.learning.rules.ridge_steps import (
    CURVATURE,
    CURVATURE_BITS,
    LARGEST_CURVATURE,
    RaterSums,
    bias_bits,
)
from fedmf_ray.tables import BIAS, FACTORS, RATERS, Column, SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_STARS = 4.5
"""Length of the scale for which the defaults were chosen."""


@dataclass(frozen=True)
class Ridge(Rule):
    """Users solve for their vectors as a round opens; each rating steps along its item's gradient. After
    learning, what errors on pairs of items have in common may be added up once."""

    co_ratings: int | None = None
    """After the rounds before, users add up what their errors have in common for all pairs of so many of the
    most-rated items, in one round more; predictions gain what neighbours know. null: not at all."""
    co_ratings_round: int | None = None
    """The round in which they do; the last one of ``stop.rounds`` if not given."""
    shrinkage: float = 50.0
    """Pairs of items that so many users rated both count for half."""
    power: float = 2.5
    """To which similarities are raised, a multiple of 0.5: higher lets only the closest items speak."""

    name: ClassVar[str] = "ridge"
    solves: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = (CURVATURE,)
    pauses: ClassVar[bool] = True
    calmer: ClassVar[str] = "raise model.reg_user and model.reg_item, or lower model.init_scale"

    @classmethod
    def defaults(cls, length: float) -> Defaults:
        """Those that docs/quality.md chose for half a star to five, a scale of length 4.5, carried to any.

        Ratings that are k times as large have biases k times as large and factors sqrt(k) times, and the same
        model is the best again where reg_user and reg_item are k times as large. (The loss is k**2 times what
        it was, |u|**2 and |v|**2 are k times, squared biases k**2 times.)
        """
        k = length / _STARS
        wider = max(k, math.sqrt(k))
        finer = max(0, math.ceil(-math.log2(k)))
        return Defaults(
            factors=30,
            biases=True,
            mean=None,
            reg_user=25.0 * k,
            reg_item=5.0 * k,
            reg_user_bias=4.0,
            reg_item_bias=3.0,
            init_scale=0.03 * math.sqrt(k),
            fraction_bits=12 + finer,
            value_bound=4.0 * wider,
            update_bound=1.5 * wider,
        )

    def problem(self, steps: Steps, biases: bool) -> str | None:
        weights = {"reg_user": steps.reg_user, "reg_item": steps.reg_item}
        if biases:
            weights |= {"reg_user_bias": steps.reg_user_bias, "reg_item_bias": steps.reg_item_bias}
        if 0 in weights.values():
            return f"ridge needs {' and '.join(weights)} above 0"
        if self.co_ratings is not None and self.co_ratings < 2:
            return "ridge.co_ratings: should be 2 or more, or null"
        if self.co_ratings_round is not None and self.co_ratings_round < 1:
            return "ridge.co_ratings_round: should be 1 or more: counts must be known"
        if not 0 <= self.shrinkage <= 1e9:
            return "ridge.shrinkage: should be 0 to 1e9"
        if not (1 <= self.power <= 8 and (2 * self.power).is_integer()):
            return "ridge.power: should be 1, 1.5, 2, and so on to 8"
        return None

    def settled(self, rounds: int) -> dict[str, object]:
        open_ = self.co_ratings is not None and self.co_ratings_round is None
        return {"co_ratings_round": rounds - 1} if open_ else {}

    def too_short(self, rounds: int, early: bool) -> str | None:
        if self.co_ratings is None:
            return None
        if early:
            return (
                "ridge.co_ratings: they are added up in a round that a run must reach: leave stop.tolerance "
                "and stop.patience out"
            )
        number = rounds - 1 if self.co_ratings_round is None else self.co_ratings_round
        if number < 1 or number >= rounds:
            return (
                f"ridge.co_ratings: of {rounds} rounds, 0 to {rounds - 1}, one after the first should be "
                "theirs: raise stop.rounds, or change ridge.co_ratings_round"
            )
        return None

    def unfit(self, setting: Setting) -> str | None:
        if self.co_ratings is None:
            return None
        if self.co_ratings > setting.items:
            return (
                f"ridge.co_ratings: {self.co_ratings:,} items are more than the {setting.items:,} that have "
                "training ratings: lower it"
            )
        low, high = setting.scale
        if low >= high:
            return f"ridge.co_ratings: on a scale from {low:g} to {high:g} nobody errs: leave it out"
        return None

    def columns(self, setting: Setting) -> tuple[Column, ...]:
        """Sums over raters, counts and curvatures grow far over the bound of a factor, but need fewer
        fraction bits."""
        point, users, largest = setting.point, setting.point.contributors, LARGEST_CURVATURE
        sums = RaterSums.of(setting)
        bound = sums.weights(np.array([float(users)]))[0] * point.value_bound
        columns = [Column(FACTORS, setting.factors, replace(point, value_bound=bound[0]))]
        if setting.biases:
            bits = min(point.fraction_bits, bias_bits(sums))
            columns.append(Column(BIAS, 1, replace(point, fraction_bits=bits, value_bound=bound[-1])))
        curvature = FixedPoint(CURVATURE_BITS, users * largest, largest, users)
        return (*columns, Column(CURVATURE, 1, curvature), setting.counter())

    @property
    def reads_rated(self) -> bool:  # type: ignore[override]
        """Which items co-ratings are of follows from the counts of all."""
        return self.co_ratings is None

    @property
    def _pairs(self) -> CoRatings | None:
        if self.co_ratings is None:
            return None
        return CoRatings(self.co_ratings, self.shrinkage, self.power)

    def shared(self, setting: Setting) -> tuple[Table, ...]:
        if self._pairs is None:
            return ()
        number = self.co_ratings_round
        since, until = (1, None) if number is None else (number, number + 1)
        return (self._pairs.table(setting.point.contributors, since, until),)

    def start(self, vectors: Floats, table: Table, setting: Setting) -> Floats:
        matrix = super().start(vectors, table, setting)
        matrix[:, : setting.predictors] *= RaterSums.of(setting).weights(np.zeros(table.rows))
        return matrix

    def values(self, rows: Floats, table: Table, setting: Setting) -> Floats:
        raters = rows[:, table.at(RATERS)][:, 0]
        return np.asarray(rows[:, : setting.predictors] / RaterSums.of(setting).weights(raters))

    def limits(self, rows: Floats, table: Table, setting: Setting) -> Floats | None:
        """The bound is held against the values that the sums stand for."""
        raters = rows[:, table.at(RATERS)][:, 0]
        return np.asarray(setting.point.value_bound * RaterSums.of(setting).weights(raters))

    def solve(self, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        return ridge_steps.refit(items, block, setting.steps, setting.biases)

    def learn(
        self, vectors: Floats, items: Items, block: RatingBlock, memory: Memory, setting: Setting
    ) -> Learned:
        sums = RaterSums.of(setting)
        now = ridge_steps.curvatures(vectors, setting.factors)
        raters = ridge_steps.Raters(memory.parts[:, 0], memory.counted, now)
        steps = ridge_steps.item_steps(vectors, items, block, setting.steps, raters, sums)
        return Learned(vectors, steps, parts=np.repeat(now, np.diff(block.starts))[:, None])

    def passing(
        self, table: str, vectors: Floats, items: Items, block: RatingBlock, setting: Setting
    ) -> SparseRows:
        assert self._pairs is not None
        low, high = setting.scale
        return self._pairs.added(vectors, items, block, setting.biases, high - low)

    @property
    def adds_pairs(self) -> bool:
        return self._pairs is not None

    def corrects(self, items: Items) -> bool:
        return self._pairs is not None and self._pairs.neighbours(items).weights is not None

    def corrections(
        self, vector: Floats, items: Items, block: RatingBlock, rows: Integers, setting: Setting
    ) -> Floats:
        assert self._pairs is not None
        side, (low, high) = user_side(vector[None], setting.biases)[0], setting.scale
        return self._pairs.corrections(side, items, block, rows, high - low)

    def hold(self, items: Items, block: RatingBlock, missing: Floats, setting: Setting) -> Floats:
        rows = items.vectors.take(block.items, axis=0)
        return ridge_steps.standing(rows, missing, RaterSums.of(setting))
