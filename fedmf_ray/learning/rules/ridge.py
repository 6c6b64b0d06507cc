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
from fedmf_ray.learning.items import Items
from fedmf_ray.learning.rules import ridge_steps
from fedmf_ray.learning.rules.base import Defaults, Learned, Memory, Rule, Setting
from fedmf_ray.learning.rules.ridge_steps import (
    CURVATURE,
    CURVATURE_BITS,
    LARGEST_CURVATURE,
    RaterSums,
    bias_bits,
)
from fedmf_ray.tables import BIAS, FACTORS, RATERS, Column, Table

Floats = NDArray[np.float64]

_STARS = 4.5
"""Length of the scale for which the defaults were chosen."""


@dataclass(frozen=True)
class Ridge(Rule):
    """Users solve for their vectors as a round opens; each rating steps along its item's gradient."""

    name: ClassVar[str] = "ridge"
    solves: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    reads_rated: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = (CURVATURE,)
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
        return f"ridge needs {' and '.join(weights)} above 0" if 0 in weights.values() else None

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

    def hold(self, items: Items, block: RatingBlock, missing: Floats, setting: Setting) -> Floats:
        rows = items.vectors.take(block.items, axis=0)
        return ridge_steps.standing(rows, missing, RaterSums.of(setting))
