"""The ``item_item`` rule: lists from the sums of one round, how often pairs of items are liked together.

EASE (Steck, WWW 2019) scores an item for a user by its other likings, through weights B that leave each item
itself out. They follow from G = X^T X alone, where X holds everybody's likings x from 0 to 1:

    P = (G + reg I)^-1,    B = I - P / diag P (column by column),    s = x B.

G is a sum over users, so users add up its entries and servers only ever add. Round 0 is a census: raters are
counted, and T is the ``top_items`` most-rated items, which everybody works out from the counts. In every
later round each user turns its ratings of T into whole *levels* 0 to L, and adds the products of all pairs of
them to one fresh table of M(M + 1)/2 sums. Users read it, invert, and score by themselves: no floating point
enters what is shared. Items outside T follow, the most-rated first.

The rule predicts no ratings. A user's vector is one number, the mean of its own ratings, and the errors that
a run reports are those of this mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.items import Items
from fedmf_ray.learning.likings import likings, user_means
from fedmf_ray.learning.rules.base import Learned, Memory, Rule, Setting
from fedmf_ray.learning.rules.most_rated import pair_rows, places_of, square, top
from fedmf_ray.tables import RATERS, Column, SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PAIRS = "pairs"
"""The table of sums l_a l_b over users, a <= b, row by row of the upper triangle."""

_MOST_ITEMS = 500
"""Items of T if ``top_items`` does not say."""

_SCORE_BITS = 30
"""Fraction bits of scores. LAPACK's last bits depend on the CPU: what ties should tie everywhere."""


class Weights(NamedTuple):
    """What users work out of the sums. top: (k,) rows of T, by place in it. inverse: (k, k) P. counted:
    (items,) raters of every item over one more than the most that any has: below 1."""

    top: Integers
    inverse: Floats | None
    counted: Floats


@dataclass(frozen=True)
class ItemItem(Rule):
    """Pairs of liked items, added up once: EASE without anybody's ratings."""

    name: ClassVar[str] = "item_item"
    solves: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    census: ClassVar[bool] = True
    predicts: ClassVar[bool] = False
    has_factors: ClassVar[bool] = False
    calmer: ClassVar[str] = "some users have other settings of model.item_item or of the scale"

    top_items: int | None = None
    """How many of the most-rated items are paired (M): 500 if not given, or all if there are fewer."""
    levels: int = 3
    """Whole levels of liking (L) between a third up the scale, which is 0, and its top."""
    rated_is_liked: bool = False
    """Whatever a user rated it likes, as much as anything else: for clicks and plays, where there is no
    scale. L is then 1."""
    cap: int | None = 200
    """At most so many of a user's items count, those that it liked most and of these the latest; null for
    all. It bounds what one user changes."""
    reg: float = 100.0
    """What is added to the diagonal of the sums before they are inverted: more lets fewer pairs speak."""

    @property
    def adds_pairs(self) -> bool:
        return True

    @property
    def _most(self) -> int:
        """The highest level."""
        return 1 if self.rated_is_liked else self.levels

    @property
    def unit_items(self) -> int:  # type: ignore[override]
        return self.top_items or _MOST_ITEMS

    def problem(self, steps: Steps, biases: bool) -> str | None:
        least: dict[str, tuple[float | None, float]] = {
            "top_items": (self.top_items, 2),
            "levels": (self.levels, 1),
            "cap": (self.cap, 2),
        }
        for key, (value, bound) in least.items():
            if value is not None and value < bound:
                return f"item_item.{key}: should be {bound} or more"
        if self.levels > 1000:
            return "item_item.levels: should be 1000 or less"
        if not 0 < self.reg <= 1e9:
            return "item_item.reg: should be above 0 (the sums alone may have no inverse) and at most 1e9"
        return None

    def unfit(self, setting: Setting) -> str | None:
        if self.top_items is not None and self.top_items > setting.items:
            return (
                f"item_item.top_items: {self.top_items:,} items are more than the {setting.items:,} that "
                "have training ratings: lower it, or leave it out"
            )
        if setting.items < 2:
            return "item_item: one item makes no pair: take more items, or another rule"
        low, high = setting.scale
        if low < high or self.rated_is_liked:
            return None
        return (
            f"item_item: a scale from {low:g} to {high:g} has no levels of liking: for clicks and plays set "
            "model.item_item.rated_is_liked to true"
        )

    def size(self, setting: Setting) -> int:
        """M, the number of items in T."""
        return min(self.top_items or _MOST_ITEMS, setting.items)

    def columns(self, setting: Setting) -> tuple[Column, ...]:
        return (setting.counter(),)

    def shared(self, setting: Setting) -> tuple[Table, ...]:
        size, users, most = self.size(setting), setting.point.contributors, float(self._most**2)
        point = FixedPoint(0, users * most, most, users)
        # T is not known before the census is over.
        return (Table(PAIRS, size * (size + 1) // 2, (Column("products", 1, point, "fresh"),), since=1),)

    def start(self, vectors: Floats, table: Table, setting: Setting) -> Floats:
        return np.zeros((table.rows, table.width))

    def values(self, rows: Floats, table: Table, setting: Setting) -> Floats:
        """What makes the inner product with a user's vector the first number of that."""
        values = np.zeros((len(rows), setting.predictors))
        values[:, 0] = 1.0
        return values

    def solve(self, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """(users, predictors) the mean of each one's ratings, and zeros."""
        vectors = np.zeros((len(block.starts) - 1, setting.predictors))
        vectors[:, 0] = user_means(block)
        return vectors

    def learn(
        self, vectors: Floats, items: Items, block: RatingBlock, memory: Memory, setting: Setting
    ) -> Learned:
        """Vectors stay as they are; everything is in the pairs."""
        return Learned(vectors.copy(), np.zeros((len(block.items), 0)))

    def passing(
        self, table: str, vectors: Floats, items: Items, block: RatingBlock, setting: Setting
    ) -> SparseRows:
        """The products of levels. Before anybody is counted, there are none."""
        if items.raters is None:
            return SparseRows.of([(np.empty(0, np.int64), np.empty((0, 1)))] * len(vectors), 1)
        places, added = self._places(items, setting), list[tuple[Integers, Floats]]()
        for user in range(len(vectors)):
            mine = block.part(user, user + 1)
            levels = self.capped(self.levels_of(mine.values, setting), places[mine.items])
            kept = np.flatnonzero(levels > 0)
            kept = kept[np.argsort(places[mine.items[kept]])]
            rows, left, right = pair_rows(places[mine.items[kept]], self.size(setting))
            added.append((rows, (levels[kept][left] * levels[kept][right])[:, None]))
        return SparseRows.of(added, 1)

    def _places(self, items: Items, setting: Setting) -> Integers:
        """(items,) of rows in T: the same for all users, so worked out once in a process."""
        found = items.derived.get(PAIRS)
        if found is None:
            found = items.derived[PAIRS] = places_of(top(items, self.size(setting)), setting.items)
        return np.asarray(found)

    def liking(self, values: Floats, setting: Setting) -> Floats:
        """(n,) x, from 0 a third up the scale or below to 1 at its top. values: ratings less the mean."""
        if self.rated_is_liked:
            return np.ones(len(values))
        return likings(values, setting.steps.mean, setting.scale)

    def levels_of(self, values: Floats, setting: Setting) -> Floats:
        """(n,) whole levels, 0 to L; halves go to the even one."""
        return np.rint(self._most * self.liking(values, setting))

    def capped(self, levels: Floats, places: Integers) -> Floats:
        """(n,) the same, with zeros for items outside T and for all but ``cap`` of the others."""
        levels = np.where(places >= 0, levels, 0.0)
        if self.cap is not None and np.count_nonzero(levels) > self.cap:
            latest = np.lexsort((np.arange(len(levels)), levels))  # the least liked and earliest come first
            levels[latest[: -self.cap]] = 0.0
        return levels

    def scores(self, vector: Floats, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """s = x B for items of T, and for the others less than for any of these, the most-rated first. Where
        nobody has been counted all are zero; where nothing is known of this user's likings, or of pairs, all
        are sorted by their raters."""
        if items.raters is None:
            return np.zeros(setting.items)
        weights = self.weights(items, setting)
        mine, places = np.zeros(len(weights.top)), places_of(weights.top, setting.items)[block.items]
        mine[places[places >= 0]] = self.liking(block.values, setting)[places >= 0]
        if weights.inverse is None or not mine.any():
            return weights.counted
        grid = float(1 << _SCORE_BITS)
        known = mine - (mine @ weights.inverse) / np.diag(weights.inverse)
        known = np.rint(known * grid) / grid
        scores: Floats = (known.min() - 1.0) + weights.counted
        scores[weights.top] = known
        return scores

    def weights(self, items: Items, setting: Setting) -> Weights:
        """P and T of a round's tables: the same for all users, so worked out once in a process."""
        found = items.derived.get(self.name)
        if not isinstance(found, Weights):
            assert items.raters is not None
            rows, sums = top(items, self.size(setting)), items.shared[PAIRS][:, 0]
            found = Weights(
                rows,
                inverse(sums, self.size(setting), len(rows), self._most, self.reg),
                items.raters / (1.0 + items.raters.max()),
            )
            items.derived[self.name] = found
        return found

    def change(self, before: Items, after: Items, setting: Setting) -> float:
        """Of counts and of the sums of pairs: nothing else is learned."""
        counts, pairs = (
            float(np.mean(np.abs(now - then)))
            for then, now in (
                (before.columns[RATERS], after.columns[RATERS]),
                (before.shared[PAIRS], after.shared[PAIRS]),
            )
        )
        return counts + pairs


def inverse(sums: Floats, size: int, known: int, levels: int, reg: float) -> Floats | None:
    """P = (G + reg I)^-1 of the first ``known`` items of T, from the sums of pairs of levels of ``size``
    items; None if all are zero."""
    if not sums.any():
        return None
    gram = square(sums / levels**2, size)[:known, :known]
    gram[np.diag_indices(known)] += reg
    return np.asarray(np.linalg.inv(gram))
