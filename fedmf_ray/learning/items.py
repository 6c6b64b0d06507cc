"""An item matrix as users read it, and how users and items stand side by side in an inner product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Items:
    """What users read from the tables of a round.

    vectors: (items, d), or with biases (items, d + 2): v_j, 1, b_j. A user's counterpart is u_i, b_i, 1
    (:func:`user_side`), so that one inner product is the whole prediction but for the mean.
    raters: (items,) n_j; None where rows have no such column, or nobody is in it yet.
    learned: (items,) bool, for which rows users upload more than zeros; None if for all that they rated.
    columns: the item table's columns by name, (items, count) each, as they stand in it.
    shared: the shared tables by name, (rows, width) each. derived: what a rule has worked out from these
    tables, once for all users of a process.
    """

    vectors: Floats
    raters: Floats | None = None
    learned: NDArray[np.bool_] | None = None
    columns: Mapping[str, Floats] = field(default_factory=dict)
    shared: Mapping[str, Floats] = field(default_factory=dict)
    derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def item_side(values: Floats, factors: int, bias: bool) -> Floats:
    """(items, d) as they are, or from v_j, b_j (items, d + 1) with a column of ones between: v_j, 1, b_j."""
    if not bias:
        return np.ascontiguousarray(values)
    ones = np.ones((len(values), 1))
    return np.concatenate([values[:, :factors], ones, values[:, factors:]], axis=1)


def user_side(vectors: Floats, bias: bool) -> Floats:
    """(users, d) as they are, or with biases (users, d + 1) and a column of ones: u_i, b_i, 1."""
    if not bias:
        return vectors
    return np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)


def item_columns(steps: Floats, factors: int, bias: bool) -> Floats:
    """The columns of an item row from (n, d) or (n, d + 2) of the item's side: the ones are no column."""
    return np.delete(steps, factors, axis=1) if bias else steps


def mean_change(before: Items, after: Items, factors: int, bias: bool) -> float:
    """Mean absolute change of v_j and b_j, as users read them."""
    return float(np.mean(item_columns(np.abs(after.vectors - before.vectors), factors, bias)))
