"""The columns of an item row, and what users read from a matrix of such rows.

    v_1 ... v_d | b | L | n

The factors come first. Then, where the run has them: the item's bias b_j, the curvature L_j by which the
``ridge`` rule scales its steps (:mod:`fedmf_ray.learning.ridge`), and the number of raters n_j.

Gradient rules keep v_j and b_j as they are. The ``ridge`` rule keeps sums over raters, (n_j + c) / (1 + c)
times v_j and b_j, which users divide when they read them: that way raters can average before anybody knows
how many they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowLayout:
    """Which columns an item row has; factors: how many of them are v_j.

    prior: empty, or how many raters weigh as much as what an item starts from: c for v_j, and for b_j. The
    columns then hold (n_j + c) / (1 + c) times the values, and there is one for L_j.
    """

    factors: int
    bias: bool = False
    raters: bool = False
    prior: tuple[float, ...] = ()

    @property
    def curvature(self) -> bool:
        return bool(self.prior)

    @property
    def learned(self) -> int:
        """The first columns, which predictions are made of: the factors and the bias."""
        return self.factors + self.bias

    @property
    def width(self) -> int:
        return self.learned + self.curvature + self.raters

    def weights(self, raters: Floats) -> Floats:
        """(n, learned) what the first columns of rows are over the values that they stand for.

        raters: (n,) n_j of each row.
        """
        return np.asarray((raters[:, None] + self._priors) * self.shares)

    @property
    def shares(self) -> Floats:
        """(learned,) by how much the weights grow with each rater: 1 / (1 + c)."""
        return np.asarray(1.0 / (1.0 + self._priors))

    @property
    def _priors(self) -> Floats:
        assert self.prior
        return np.repeat(self.prior, [self.factors, 1][: 1 + self.bias])


@dataclass(frozen=True)
class Items:
    """An item matrix as users read it.

    vectors: (items, d), or with biases (items, d + 2): v_j, 1, b_j. A user's counterpart is u_i, b_i, 1
    (:func:`user_side`), so that one inner product is the whole prediction but for the mean.
    curvature, raters: (items,) L_j and n_j; None where rows have no such column, or nobody is in it yet.
    learned: (items,) bool, for which rows users upload more than zeros; None if for all that they rated.
    """

    vectors: Floats
    curvature: Floats | None
    raters: Floats | None
    learned: NDArray[np.bool_] | None

    @classmethod
    def read(cls, matrix: Floats, layout: RowLayout, min_raters: int, counted: bool) -> Items:
        """matrix: (items, width). counted: a round is over, in which raters counted themselves.

        A row that nobody may learn then predicts nothing: whatever noise it started from reads as zeros.
        """
        end = layout.learned
        vectors = matrix[:, :end]
        if layout.prior:
            vectors = vectors / layout.weights(matrix[:, -1])
        if not (layout.raters and counted):
            return cls(item_side(vectors, layout), None, None, None)
        raters, learned = matrix[:, -1], None
        if min_raters > 1:
            learned = raters >= min_raters
        vectors = np.where((raters >= min_raters)[:, None], vectors, 0.0)
        return cls(item_side(vectors, layout), matrix[:, end] if layout.curvature else None, raters, learned)


def item_side(learned: Floats, layout: RowLayout) -> Floats:
    """(items, d) as they are, or from v_j, b_j (items, d + 1) with a column of ones between: v_j, 1, b_j."""
    if not layout.bias:
        return np.ascontiguousarray(learned)
    d, ones = layout.factors, np.ones((len(learned), 1))
    return np.concatenate([learned[:, :d], ones, learned[:, d:]], axis=1)


def user_side(vectors: Floats, layout: RowLayout) -> Floats:
    """(users, d) as they are, or with biases (users, d + 1) and a column of ones: u_i, b_i, 1."""
    if not layout.bias:
        return vectors
    return np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)


def mean_change(before: Items, after: Items, layout: RowLayout) -> float:
    """Mean absolute change of v_j and b_j, as users read them."""
    return float(np.mean(item_columns(np.abs(after.vectors - before.vectors), layout)))


def item_columns(steps: Floats, layout: RowLayout) -> Floats:
    """The columns of an item row from (n, d) or (n, d + 2) of the item's side: the ones are no column."""
    return np.delete(steps, layout.factors, axis=1) if layout.bias else steps
