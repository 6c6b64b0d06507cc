"""Ratings from what the ``ridge`` rule uploads, in the clear or read off V by another user.

The rule (:mod:`~fedmf_ray.learning.rules.ridge`) gives away more than gradients do. A step of the bias column
is e_ij, the error of one rating, times numbers that everybody knows. And a user's vector is not any vector:
it is where its own loss is flat, so

    reg_user u_i = sum_j e_ij v_j        reg_user_bias b_i = sum_j e_ij

over all it rated. From one round's upload follow all errors, from them the vector and the bias, and from
these r_ij = mean + b_i + b_j + <u_i, v_j> + e_ij: every rating, without a second round. Without biases the
steps of the factors are e_ij u_i times known numbers: their direction is that of u_i, and the same equation
gives its length.

Another user sees sums only, except in rows with one rater, and the column n_j says which those are. It knows
e_ij and u_i there, but not all that the user rated: b_i is then known up to the grid of ratings, and taken
for the smallest that fits. In rows with two raters, one of them knows what it added itself, and is left with
the other's step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.items import Items, item_columns
from fedmf_ray.learning.rules import Setting
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.learning.rules.ridge_steps import (
    Raters,
    RaterSums,
    bias_scale,
    curvatures,
    first_scale,
    item_steps,
    refit,
    step_scale,
)
from fedmf_ray.privacy.gradients import nearest, stars
from fedmf_ray.privacy.participant import Found

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SAME_LINE = 0.995
"""Cosine above which the steps of two rows are taken for one user's: they are parallel but for rounding."""

_ROUNDING, _LARGEST_BIAS = 0.25, 1.5
"""Stars by which the bias of a user may be off: where all its errors are known, and where they are not."""

_SMALLEST_GROUP = 3
"""One or two rows fit any bias of a user."""


class RowSteps(NamedTuple):
    """What an upload, or the change of a lone row, says about each row.

    error: (k,) e_ij, NaN without biases. product: (k, d) e_ij u_i. vectors, biases: (k, d) v_j and (k,) b_j.
    """

    error: Floats
    product: Floats
    vectors: Floats
    biases: Floats


def read_steps(added: Floats, rows: Floats, setting: Setting, first: bool = False) -> RowSteps:
    """Undo what the rule does to errors. added: (k, width) by one user, to rows (k, width) of V.

    first: nobody had counted itself yet.
    """
    d, sums, steps, curved = setting.factors, RaterSums.of(setting), setting.steps, setting.predictors
    items = _read(rows, replace(setting, min_raters=1), counted=not first)
    vectors = items.vectors[:, :d]
    biases = items.vectors[:, -1] if setting.biases else np.zeros(len(rows))
    new, grown = added[:, -1], added[:, curved]  # a user that joins counts itself
    if first:
        scale, pulls = first_scale(grown, sums), np.zeros(len(rows))
    else:
        count, before = np.maximum(rows[:, -1] + new, 1.0), rows[:, curved]
        # Nobody in L_j yet: all parts are new, and everybody takes the others for its like.
        curvature = np.where(before > 0, before + np.maximum(grown, 0.0), count * grown)
        scale, pulls = step_scale(count, curvature, steps, sums), (1.0 - new) / count
    kept = new[:, None] * sums.shares * item_columns(items.vectors, d, setting.biases)
    product = (added[:, :d] - kept[:, :d]) / scale[:, None] + (steps.reg_item * pulls)[:, None] * vectors
    error = np.full(len(rows), np.nan)
    if setting.biases:
        error = (added[:, d] - kept[:, d]) / bias_scale(steps) + steps.reg_item_bias * pulls * biases
    return RowSteps(error, product, vectors, biases)


def recover(added: Floats, rows: Floats, setting: Setting, grid: Floats, first: bool = False) -> Floats:
    """(k,) ratings of one user from what it uploads in one round for the k rows that it rated.

    grid: the possible ratings, evenly spaced and increasing. first: nobody had counted itself yet.
    """
    seen, steps = read_steps(added, rows, setting, first), setting.steps
    if setting.biases:
        vector = np.sum(seen.error[:, None] * seen.vectors, axis=0) / steps.reg_user
        own = np.sum(seen.error) / steps.reg_user_bias
        return _on_grid(
            seen.error + seen.biases + seen.vectors @ vector + steps.mean + own, grid, _ROUNDING * stars(grid)
        )
    direction = np.linalg.svd(seen.product, full_matrices=False)[2][0]
    along = seen.product @ direction
    squared = direction @ np.sum(along[:, None] * seen.vectors, axis=0) / steps.reg_user
    length = np.sqrt(max(float(squared), 1e-12))
    expected = along / length + length * (seen.vectors @ direction)
    # The direction has two ends. Where both fit the scale, people rate more things high than low.
    both = [steps.mean + sign * expected for sign in (1.0, -1.0)]
    return nearest(min(both, key=lambda ratings: _misfit(ratings, grid) - 1e-3 * ratings.mean()), grid)


def recover_from_changes(before: Floats, after: Floats, setting: Setting, grid: Floats) -> list[Found]:
    """Ratings in rows with one rater, from V (items, width) of two consecutive rounds."""
    lone = np.flatnonzero(after[:, -1] == 1)
    return _of_single_users(lone, after - before, before, setting, grid)


def recover_beside(
    owns: Sequence[RatingBlock], before: Floats, after: Floats, setting: Setting, grid: Floats
) -> list[Found]:
    """The same for users who are all raters of a row but one: they take their own steps away, and the other's
    is left.

    owns: the ratings of each minus the mean. before, after: of the first round in which users learn, before
    which none of them is in L_j."""
    curved, steps = setting.predictors, setting.steps
    if before[:, curved].any():
        raise ValueError("only the first round that learns can be read from two matrices alone")
    counted = bool(before[:, -1].any())
    items = _read(before, setting, counted)
    change, theirs = after - before, np.zeros(len(before), np.int64)
    for own in owns:
        vector = refit(items, own, steps, setting.biases)
        now = curvatures(vector, setting.factors)
        raters = Raters(np.zeros(len(own.items)), np.array([float(counted)]), now)
        change[own.items, :curved] -= item_steps(vector, items, own, steps, raters, RaterSums.of(setting))
        change[own.items, curved] -= now
        change[own.items, -1] -= not counted
        theirs[own.items] += 1
    shared = np.flatnonzero((theirs > 0) & (after[:, -1] == theirs + 1))
    moved = (before[shared, :curved] != after[shared, :curved]).any(axis=1)
    return _of_single_users(shared[moved], change, before, setting, grid)


def _read(rows: Floats, setting: Setting, counted: bool) -> Items:
    """What any user reads from rows of the item table."""
    return Ridge().read([rows], setting, counted)


def _of_single_users(
    rows: Integers, change: Floats, before: Floats, setting: Setting, grid: Floats
) -> list[Found]:
    """Ratings in rows that one user each has changed; change: (items, width) by that user."""
    lone = rows[change[rows, : setting.predictors].any(axis=1)]
    if not setting.biases or not len(lone):
        return []
    seen = read_steps(change[lone], before[lone], setting, first=not before[:, -1].any())
    lengths = np.linalg.norm(seen.product, axis=1)
    known = (lengths > 0) & (np.abs(seen.error) > 0)
    found = []
    for group in _parallel(seen.product[known] / (lengths * np.sign(seen.error))[known, None]):
        mine = np.flatnonzero(known)[group]
        error, vectors = seen.error[mine], seen.vectors[mine]
        vector = error @ seen.product[mine] / np.sum(error**2)
        expected = error + seen.biases[mine] + vectors @ vector + setting.steps.mean
        found.append(Found(lone[mine], _on_grid(expected, grid, _LARGEST_BIAS * stars(grid))))
    return found


def linked_by_curvature(after: Floats, setting: Setting) -> list[Integers]:
    """Groups of rows with one rater and the same L_j: |u_i|**2 of that rater, if it is one person."""
    curved = setting.predictors
    lone = np.flatnonzero((after[:, -1] == 1) & (after[:, curved] > 0))
    _, labels = np.unique(after[lone, curved], return_inverse=True)
    return [lone[labels == label] for label in range(int(labels.max(initial=-1)) + 1)]


def _parallel(units: Floats) -> list[Integers]:
    """Positions of units (n, d) that point the same way, in groups that are large enough."""
    waiting, groups = np.ones(len(units), bool), []
    for start in range(len(units)):
        if waiting[start]:
            near = np.flatnonzero(waiting & (units @ units[start] > _SAME_LINE))
            waiting[near] = False
            if len(near) >= _SMALLEST_GROUP:
                groups.append(near)
    return groups


def _on_grid(expected: Floats, grid: Floats, reach: float) -> Floats:
    """Ratings that are right but for a common offset: the smallest one that puts them on the grid."""
    offsets = np.linspace(-reach, reach, 1 + 2 * round(100 * reach / (grid[1] - grid[0])))
    costs = [_misfit(expected + offset, grid) + 1e-3 * abs(offset) for offset in offsets]
    return nearest(expected + offsets[int(np.argmin(costs))], grid)


def _misfit(ratings: Floats, grid: Floats) -> float:
    return float(np.mean(np.abs(ratings - nearest(ratings, grid))))
