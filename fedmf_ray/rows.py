"""The columns of an item row, and what users read from a matrix of such rows.

    v_1 ... v_d | b | L | n

The factors come first. Then, where the run has them: the item's bias b_j, the curvature L_j by which the
``ridge`` rule scales its steps (:mod:`fedmf_ray.ridge`), and the number of raters n_j that the census counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowLayout:
    """Which columns an item row has; factors: how many of them are v_j.

    With ``raters`` a run begins with the census: a round in which users count themselves, and learn nothing.
    """

    factors: int
    bias: bool = False
    curvature: bool = False
    raters: bool = False

    @property
    def learned(self) -> int:
        """The first columns, which predictions are made of: the factors and the bias."""
        return self.factors + self.bias

    @property
    def width(self) -> int:
        return self.learned + self.curvature + self.raters


@dataclass(frozen=True)
class Items:
    """An item matrix as users read it.

    vectors: (items, d), or with biases (items, d + 2): v_j, 1, b_j. A user's counterpart is u_i, b_i, 1
    (:func:`user_side`), so that one inner product is the whole prediction but for the mean.
    curvature, raters: (items,) L_j and n_j; None where rows have no such column.
    learned: (items,) bool, for which rows users upload more than zeros; None if for all that they rated.
    """

    vectors: Floats
    curvature: Floats | None
    raters: Floats | None
    learned: NDArray[np.bool_] | None

    @classmethod
    def read(cls, matrix: Floats, layout: RowLayout, min_raters: int, counted: bool) -> Items:
        """matrix: (items, width). counted: the census is over.

        A row that nobody may learn then predicts nothing: whatever noise it started from reads as zeros.
        """
        end = layout.learned
        curvature = matrix[:, end] if layout.curvature else None
        raters = matrix[:, -1] if layout.raters else None
        vectors, learned = matrix[:, :end], None
        if raters is not None and counted:
            if min_raters > 1:
                learned = raters >= min_raters
            vectors = np.where((raters >= min_raters)[:, None], vectors, 0.0)
        return cls(item_side(vectors, layout), curvature, raters, learned)


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


def item_columns(steps: Floats, layout: RowLayout) -> Floats:
    """The columns of an item row from (n, d) or (n, d + 2) of the item's side: the ones are no column."""
    return np.delete(steps, layout.factors, axis=1) if layout.bias else steps
