"""The M most-rated items T, which everybody works out from the counts, and sums over pairs of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.items import Items

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def top(items: Items, size: int) -> Integers:
    """(M or fewer,) rows of T: the most-rated items, of equal ones the first row first. Those that nobody
    rated, or fewer than ``min_raters``, are not among them."""
    assert items.raters is not None
    best = np.argsort(-items.raters, kind="stable")[:size]
    allowed = items.raters[best] > 0
    return best[allowed if items.learned is None else allowed & items.learned[best]]


def places_of(rows: Integers, items: int) -> Integers:
    """(items,) the place of each row in T, -1 if it is not there."""
    places = np.full(items, -1)
    places[rows] = np.arange(len(rows))
    return places


def square(sums: Floats, size: int) -> Floats:
    """(M, M) from the table's M(M + 1)/2 numbers, row by row of the upper triangle."""
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = sums
    return matrix + np.triu(matrix, 1).T


def pair_rows(places: Integers, size: int) -> tuple[Integers, Integers, Integers]:
    """The rows of a table of pairs a <= b that are of some places in T alone, and which two each is of, as
    positions among them: three arrays (k(k + 1)/2,). places: (k,) increasing."""
    left, right = np.triu_indices(len(places))
    a, b = places[left], places[right]
    return a * size - a * (a - 1) // 2 + b - a, left, right
