"""The compiled way of what takes most time, where the extension was built: the same bits as the NumPy path.

Without it, or with ``FEDMF_LEARNING=numpy``, the callers here say None and NumPy does the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.compiled import extension

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NATIVE = extension("fedmf_ray.learning._learning", "FEDMF_LEARNING")


def available() -> bool:
    """Whether the extension is in use."""
    return _NATIVE is not None


def refit(
    vectors: Floats, starts: Integers, items: Integers, values: Floats, penalty: Floats, bias: bool
) -> Floats | None:
    """(users, m) the solutions of :func:`~fedmf_ray.learning.rules.ridge_steps.refit`; None where NumPy must.

    A single unknown is left to NumPy, which adds a column of numbers in another order.
    """
    width = len(penalty)
    if _NATIVE is None or width < 2:
        return None
    out = np.empty((len(starts) - 1, width))
    _NATIVE.refit(*_plain(vectors, starts, items, values, penalty), out, vectors.shape[1], bias)
    return out


def item_steps(
    vectors: Floats,
    rows: Floats,
    block: tuple[Integers, Integers, Floats],
    columns: tuple[Floats, Floats] | None,
    raters: tuple[Floats, Floats, Floats, Floats],
    shares: Floats,
    constants: Floats,
    factors: int,
    bias: bool,
) -> Floats | None:
    """(ratings, d or d + 1) of :func:`~fedmf_ray.learning.rules.ridge_steps.item_steps`; None where NumPy
    must.

    columns: raters and curvature of all items, None while nobody knows them. raters: part, counted, now,
    and what steps are multiplied by as long as there are no columns.
    """
    if _NATIVE is None:
        return None
    starts, items, values = block
    out = np.empty((len(items), factors + bias))
    there = columns or (np.empty(0), np.empty(0))
    arrays = _plain(vectors, rows, starts, items, values, *there, *raters, shares, constants)
    _NATIVE.item_steps(*arrays, out, factors, bias)
    return out


def batch(
    vectors: Floats,
    rows: Floats,
    block: tuple[Integers, Integers, Floats],
    rates: tuple[float | Floats, float | Floats],
    pulls: tuple[float | Floats, float | Floats],
) -> tuple[Floats, Floats] | None:
    """What :class:`~fedmf_ray.learning.rules.gradient.Batch` steps; None where NumPy must: for one factor it
    adds a column in another order. rates, pulls: of users and of items."""
    width = vectors.shape[1]
    if _NATIVE is None or width < 2:
        return None
    moved, steps = np.empty((len(vectors), width)), np.empty((len(block[1]), width))
    sides = np.empty((4, width))
    for at, one in enumerate((*rates, *pulls)):
        sides[at] = one
    _NATIVE.batch(*_plain(vectors, rows, *block, sides), moved, steps, width)
    return moved, steps


def errors(
    vectors: Floats,
    rows: Floats,
    block: tuple[Integers, Integers, Floats],
    clip: tuple[float, float] | None,
) -> tuple[Floats, Floats] | None:
    """(users,) squared and absolute errors; None where NumPy must."""
    if _NATIVE is None:
        return None
    squared, absolute = np.empty(len(vectors)), np.empty(len(vectors))
    low, high = clip or (-np.inf, np.inf)
    _NATIVE.errors(*_plain(vectors, rows, *block), squared, absolute, rows.shape[1], low, high)
    return squared, absolute


def within(values: Floats, bound: float) -> bool:
    """Whether all numbers are known to be at most so far from zero; False also where nobody has looked."""
    return _NATIVE is not None and bool(_NATIVE.within(np.ascontiguousarray(values, np.float64), bound))


def to_rows(steps: Floats, at: Integers, scale: Floats, out: Integers) -> bool:
    """out[at] = steps on the grid, rows of (n, width). Returns whether it was done here."""
    if _NATIVE is None or steps.shape[1] != len(scale):
        return False
    _NATIVE.to_rows(*_plain(steps, at, scale), out)
    return True


def _plain(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """As the extension reads them: contiguous, eight bytes a number."""
    return [
        np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float64) for array in arrays
    ]
