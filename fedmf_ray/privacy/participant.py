"""A curious user: it sees V every round, encrypted or not, and subtracts.

The change of a row that only one user rated *is* that user's step, e_j * u, and all rows of one such user
point in nearly the same direction, which rows that several users moved do not. So: take the change of V
over one round, group its rows by direction, and run the grid attack on each group
(:mod:`~fedmf_ray.privacy.gradients`). Nobody colludes, and nothing is known of who rated what.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.privacy.gradients import recover, stars, strip

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SAME_DIRECTION = 0.999
"""Cosine above which two rows are taken for one user's. Under the sequential rule a user's direction
wanders by about twice the learning rate times its error from one rating to the next; those of two users
are nearly at right angles while training is young."""

_SMALLEST_GROUP = 3
"""One or two rows fit any user: nothing can be told from them."""

_WORST_FIT = 0.06
"""Mean distance of a group's ratings from the grid, in stars; random ones are 0.125 away."""


class Found(NamedTuple):
    """A group of rows that moved as one user's do, and its ratings. rows, ratings: (k,)."""

    rows: Integers
    ratings: Floats


def recover_from_changes(before: Floats, after: Floats, rule: str, steps: Steps, grid: Floats) -> list[Found]:
    """Ratings of users whose rows nobody else moved, from V (items, factors) of two consecutive rounds."""
    change = after - before
    own = change / (2 * steps.learning_rate) + steps.reg_item * before  # if one user moved it
    norms = np.linalg.norm(own, axis=1)
    moved = np.flatnonzero(np.abs(change).max(axis=1) > 0)
    labels = _groups(own[moved] / norms[moved][:, None])
    found = []
    for group in np.flatnonzero(np.bincount(labels) >= _SMALLEST_GROUP):
        rows = moved[labels == group]
        ratings, _, misfit = recover(strip(change[rows], before[rows], rule, steps), rule, steps, grid)
        if misfit < _WORST_FIT * stars(grid):
            found.append(Found(rows, ratings))
    return found


def _groups(directions: Floats) -> Integers:
    """(n,) labels: rows connected by steps of less than the angle (single linkage, either sign)."""
    labels = np.full(len(directions), -1)
    for label, start in enumerate(range(len(directions))):
        if labels[start] >= 0:
            continue
        labels[start] = label
        reached = [start]
        while reached:
            cosine = np.abs(directions @ directions[reached.pop()])
            near = np.flatnonzero((labels < 0) & (cosine > SAME_DIRECTION))
            labels[near] = label
            reached += near.tolist()
    return labels
