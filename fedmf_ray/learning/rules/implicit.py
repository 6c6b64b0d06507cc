"""The ``implicit`` rule: weighted factorisation of likings, whose item systems are sums.

:mod:`~fedmf_ray.learning.rules.implicit_steps` has the mathematics. An item's row keeps

    B_1 ... B_d | L | n

of which every rater's part is that of its latest vector: it replaces it when it comes. G and M are the sums
of one round, in fresh shared tables; where not everybody came, they are scaled up to all who ever did. There
is no step size and nothing lags: items follow exactly from the sums that users read.

The rule predicts no ratings. As with ``item_item``, the errors that a run reports are those of each user's
own mean.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps, inner
from fedmf_ray.learning.items import Items
from fedmf_ray.learning.likings import likings, user_means
from fedmf_ray.learning.rules import implicit_steps
from fedmf_ray.learning.rules.base import Learned, Memory, Rule, Setting
from fedmf_ray.tables import Column, Table

Floats = NDArray[np.float64]

SUMS, SIZE = "sums", "size"
"""Columns of B_j and L_j."""

MOMENTS, PRESENT, PEOPLE = "moments", "present", "people"
"""Shared tables: G and M side by side, the upper triangle row by row; users of the round; users ever."""

_BITS = 12
"""Fraction bits of B_j, and of G and M at most."""

_SIZE_BITS, _LONGEST = 7, 16.0
"""Fraction bits of w |u|^2 in L_j, and the largest |u|^2: of a longer vector, L_j has less than it should."""

_MOST_LIKED = 256.0
"""Largest sum of likings in M: who likes more counts as much. Only the shape of M matters."""

_START_SCALE = 0.1
"""Standard deviation of what the first vectors of items are."""


@dataclass(frozen=True)
class Implicit(Rule):
    """Users and items are solved for in turn; what users like counts, and what they did not rate."""

    name: ClassVar[str] = "implicit"
    solves: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    predicts: ClassVar[bool] = False
    has_factors: ClassVar[bool] = True
    prepares: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = (SUMS, SIZE)
    calmer: ClassVar[str] = "raise model.implicit.reg or protocol.value_bound"

    alpha: float = 10.0
    """A liking x is trusted 1 + alpha x times as much as that nothing is known of an item."""
    reg: float = 40.0
    """Weight on the squares of vectors: 40 up to 30 factors, 70 for 60."""
    rated_is_liked: bool = False
    """Whatever a user rated it likes, as much as anything else: for clicks and plays, where there is no
    scale."""
    first_seed: int = 0
    """From which the first vectors of items are drawn, the same for everybody; any will do."""

    def problem(self, steps: Steps, biases: bool) -> str | None:
        for key in ("alpha", "reg"):
            if not 0 < getattr(self, key) <= 1e9:
                return f"implicit.{key}: should be above 0 and at most 1e9"
        return None if self.first_seed >= 0 else "implicit.first_seed: should be 0 or more"

    def unfit(self, setting: Setting) -> str | None:
        low, high = setting.scale
        if low < high or self.rated_is_liked:
            return None
        return (
            f"implicit: a scale from {low:g} to {high:g} has no levels of liking: for clicks and plays set "
            "model.implicit.rated_is_liked to true"
        )

    def columns(self, setting: Setting) -> tuple[Column, ...]:
        """A user replaces its part: a step may be twice as large as a part."""
        users, part = setting.point.contributors, (1.0 + self.alpha) * setting.point.value_bound
        sums = FixedPoint(self._bits(setting), users * part, 2 * part, users)
        longest = self.alpha * _LONGEST
        size = FixedPoint(_SIZE_BITS, users * longest, longest, users)
        return (Column(SUMS, setting.factors, sums), Column(SIZE, 1, size), setting.counter())

    def shared(self, setting: Setting) -> tuple[Table, ...]:
        users, product = setting.point.contributors, setting.point.value_bound**2
        most = self.columns(setting)[0].point
        columns = tuple(
            Column(name, 1, FixedPoint(_fitting(bound, most), users * bound, bound, users), "fresh")
            for name, bound in (("products", product), ("weighted", _MOST_LIKED * product))
        )
        one = FixedPoint(0, users, 1, users)
        return (
            Table(MOMENTS, setting.factors * (setting.factors + 1) // 2, columns),
            Table(PRESENT, 1, (Column("users", 1, one, "fresh"),)),
            Table(PEOPLE, 1, (Column("users", 1, one),)),
        )

    def _bits(self, setting: Setting) -> int:
        return min(_BITS, setting.point.fraction_bits)

    def start(self, vectors: Floats, table: Table, setting: Setting) -> Floats:
        return np.zeros((table.rows, table.width))

    def values(self, rows: Floats, table: Table, setting: Setting) -> Floats:
        """What makes the inner product with a user's vector the first number of that."""
        values = np.zeros((len(rows), setting.predictors))
        values[:, 0] = 1.0
        return values

    def prepare(self, items: Items, setting: Setting) -> None:
        self.item_vectors(items, setting)

    def item_vectors(self, items: Items, setting: Setting) -> tuple[Floats, Floats]:
        """(items, d) v_j and (d, d) V^T V + reg I, worked out once in a process and round. Before anybody has
        added anything, and after a round to which nobody came, V is what it began with."""
        if self.name not in items.derived:
            sums, present = items.columns[SUMS], items.shared[PRESENT][0, 0]
            if not sums.any() or present < 1:
                random = np.random.default_rng(self.first_seed)
                found = random.normal(0.0, _START_SCALE, (setting.items, setting.factors))
            else:
                moments = _squares(items.shared[MOMENTS], setting.factors)
                moments *= items.shared[PEOPLE][0, 0] / present
                found = implicit_steps.item_vectors(
                    sums, items.columns[SIZE][:, 0], moments[0], moments[1], self.reg
                )
            base = implicit_steps.gram(found) + self.reg * np.eye(setting.factors)
            items.derived[self.name] = found, base
        found, base = items.derived[self.name]
        return found, base

    def solve(self, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """(users, predictors) the mean of each one's ratings, and zeros."""
        vectors = np.zeros((len(block.starts) - 1, setting.predictors))
        vectors[:, 0] = user_means(block)
        return vectors

    def learn(
        self, vectors: Floats, items: Items, block: RatingBlock, memory: Memory, setting: Setting
    ) -> Learned:
        weights, owners = (
            self._weights(block, setting),
            np.repeat(np.arange(len(vectors)), np.diff(block.starts)),
        )
        found = implicit_steps.user_vectors(*self.item_vectors(items, setting), block, weights)
        parts = np.zeros((len(weights), setting.factors + 1))
        liked, grid = weights > 0, float(1 << self._bits(setting))
        mine, weight = found[owners[liked]], weights[liked]
        parts[liked, :-1] = np.rint((1.0 + weight)[:, None] * mine * grid) / grid
        length = np.minimum(inner(mine, mine), _LONGEST)
        parts[liked, -1] = np.ceil(weight * length * (1 << _SIZE_BITS)) / (1 << _SIZE_BITS)
        return Learned(
            vectors.copy(), np.zeros((len(weights), 0)), parts, self._shared(found, block, weights, memory)
        )

    def _shared(
        self, found: Floats, block: RatingBlock, weights: Floats, memory: Memory
    ) -> dict[str, Floats]:
        """What each user adds to shared tables. found: (users, d) u."""
        rows, columns = np.triu_indices(found.shape[1])
        products = found[:, rows] * found[:, columns]
        starts = block.starts.tolist()
        likings_of = [np.add.reduce(weights[a:b]) / self.alpha for a, b in itertools.pairwise(starts)]
        sizes = np.minimum(np.array(likings_of), _MOST_LIKED)
        moments = np.stack([products, sizes[:, None] * products], axis=2)
        people = (1.0 - memory.counted)[:, None, None]
        return {MOMENTS: moments, PRESENT: np.ones((len(found), 1, 1)), PEOPLE: people}

    def scores(self, vector: Floats, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """(items,) <u, v_j>. Of a user without likings all are 0: the most-rated items come first then."""
        found, base = self.item_vectors(items, setting)
        weights = self._weights(block, setting)
        if not weights.any():
            return np.zeros(setting.items) if items.raters is None else items.raters.astype(float)
        return inner(implicit_steps.user_vectors(found, base, block, weights), found)

    def change(self, before: Items, after: Items, setting: Setting) -> float:
        """Of all v_j."""
        then, now = (self.item_vectors(items, setting)[0] for items in (before, after))
        return float(np.mean(np.abs(now - then)))

    def _weights(self, block: RatingBlock, setting: Setting) -> Floats:
        if self.rated_is_liked:
            return np.full(len(block.values), self.alpha)
        return self.alpha * likings(block.values, setting.steps.mean, setting.scale)


def _fitting(bound: float, wide: FixedPoint) -> int:
    """Fraction bits with which sums of so large parts fit the slots of another column: blocks of all tables
    have the same."""
    room = math.floor(math.log2(wide.update_bound * wide.scale / bound))
    return max(0, min(_BITS, room))


def _squares(rows: Floats, size: int) -> Floats:
    """(2, d, d) G and M from the rows of their upper triangle (d(d + 1)/2, 2)."""
    squares = np.zeros((2, size, size))
    upper = np.triu_indices(size)
    squares[:, upper[0], upper[1]] = rows.T
    squares[:, upper[1], upper[0]] = rows.T
    return squares
