"""Co-ratings: what users' errors on pairs of items have in common, added up once after learning.

Who errs upwards on one item often does on another: neighbours know what a factorisation has missed. When
learning is over, there is one more round. T is the M most-rated items, which everybody works out from the
counts. Each user turns its errors e on ratings of T into whole *levels*, and adds for all pairs a <= b of T
that it rated

    G_ab += e_a e_b,    N_ab += 1

to one fresh table of two columns. In this round nobody moves, and nobody counts itself: T stays what it is.
Then everybody knows how much a and b have in common, shrunk where few rated both (Koren, KDD 2008),

    w_ab = G_ab / sqrt(G_aa G_bb) * N_ab / (N_ab + shrinkage),

amplified so that a few close items count for more than many remote ones (Breese, Heckerman, Kadie, UAI 1998),
and a prediction for item a gains

    sum_b e_b w_ab |w_ab|^(p - 1) / (sum_b |w_ab|^p + doubt^p)

over the items b that the user has rated itself, a left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, inner
from fedmf_ray.learning.items import Items, user_side
from fedmf_ray.learning.rules.most_rated import pair_rows, places_of, square, top
from fedmf_ray.tables import Column, SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CO_RATINGS = "co_ratings"
"""The table of G and N, a row for each pair a <= b, row by row of the upper triangle."""

_LEVELS = 18
"""Errors are cut to half the length of the scale, which is so many levels: of an eighth of a star each on 0.5
to 5."""

_DOUBT = 0.1
"""One neighbour as similar as this moves a prediction by half of its error."""


class Neighbours(NamedTuple):
    """top: (k,) rows of T. places: (items,) where each row is in T, or -1. weights: (k, k) amplified, zeros
    on the diagonal; None if nobody has added anything yet."""

    top: Integers
    places: Integers
    weights: Floats | None


@dataclass(frozen=True)
class CoRatings:
    """size: M. shrinkage, power: as above; a power is a multiple of one half, so that no bit of it depends on
    a CPU."""

    size: int
    shrinkage: float
    power: float

    def table(self, users: int, since: int, until: int | None) -> Table:
        """Of whole numbers. since, until: as of :class:`Table`."""
        most = float(_LEVELS**2)
        products, raters = FixedPoint(0, users * most, most, users), FixedPoint(0, users, 1, users)
        columns = Column("products", 1, products, "fresh"), Column("pairs", 1, raters, "fresh")
        return Table(CO_RATINGS, self.size * (self.size + 1) // 2, columns, since, until)

    def added(
        self, vectors: Floats, items: Items, block: RatingBlock, biases: bool, length: float
    ) -> SparseRows:
        """What each user adds. vectors: (users, predictors). length: of the scale."""
        places, added = self.neighbours(items).places, list[tuple[Integers, Floats]]()
        for user, vector in enumerate(user_side(vectors, biases)):
            mine = block.part(user, user + 1)
            here = np.flatnonzero(places[mine.items] >= 0)
            here = here[np.argsort(places[mine.items[here]])]
            errors = _errors(vector, items, mine.items[here], mine.values[here], length)
            levels = np.rint(errors * (2 * _LEVELS / length))
            rows, left, right = pair_rows(places[mine.items[here]], self.size)
            products = levels[left] * levels[right]
            added.append((rows, np.stack([products, np.ones_like(products)], axis=1)))
        return SparseRows.of(added, 2)

    def corrections(
        self, vector: Floats, items: Items, block: RatingBlock, rows: Integers, length: float
    ) -> Floats:
        """(n,) what one user adds to what it expects of some items. vector: its own, as it stands beside
        ``items.vectors``. block: its training ratings. A row's number has the same bits in any company."""
        found, gained = self.neighbours(items), np.zeros(len(rows))
        mine = found.places[block.items] >= 0
        there = found.places[rows] >= 0
        if found.weights is None or not mine.any() or not there.any():
            return gained
        errors = _errors(vector, items, block.items[mine], block.values[mine], length)
        weights = found.weights[np.ix_(found.places[rows[there]], found.places[block.items[mine]])]
        doubt = float(_power(np.array(_DOUBT), self.power))
        gained[there] = inner(weights, errors) / (np.add.reduce(np.abs(weights), axis=-1) + doubt)
        return gained

    def neighbours(self, items: Items) -> Neighbours:
        """Of a round's tables: the same for all users, so worked out once in a process."""
        found = items.derived.get(CO_RATINGS)
        if not isinstance(found, Neighbours):
            rows = top(items, self.size) if items.raters is not None else np.array([], np.int64)
            found = Neighbours(rows, places_of(rows, len(items.vectors)), self._weights(items, len(rows)))
            items.derived[CO_RATINGS] = found
        return found

    def _weights(self, items: Items, known: int) -> Floats | None:
        sums = items.shared[CO_RATINGS]
        if not sums.any():
            return None
        products, pairs = (square(column, self.size)[:known, :known] for column in sums.T)
        own = np.diag(products)
        scale = np.sqrt(own[:, None] * own)
        alike = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
        alike *= pairs / np.where(pairs > 0, pairs + self.shrinkage, 1.0)
        alike[np.diag_indices(known)] = 0.0
        return np.copysign(_power(np.abs(alike), self.power), alike)


def _errors(vector: Floats, items: Items, rows: Integers, values: Floats, length: float) -> Floats:
    """(n,) of one user's ratings, cut to half the length of the scale."""
    expected = inner(vector, items.vectors.take(rows, axis=0))
    return np.clip(values - expected, -length / 2, length / 2)


def _power(values: Floats, power: float) -> Floats:
    """Values of 0 or more to a multiple of one half, by products and a root alone: these are the same on
    every CPU."""
    result = np.sqrt(values) if power % 1 else np.ones_like(values)
    for _ in range(int(power)):
        result = result * values
    return result
