"""Estimates how much users will upload: rows by the rule, blocks by where the rows are.

Where users' ratings are in this process, their rated rows are known. Where decoys will be, and the rated rows
of users who make their own ratings, are estimated by expectation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.ratings.users import Recipe

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK_USERS = 1 << 20


class Uploads(NamedTuple):
    """Of a contiguous range of users, (users,) int64 each.

    ratings: for training. rows, blocks: how many each user uploads every round. rated_blocks: how many hold
    rows that it rated, or are of shared tables.
    """

    user_ids: Integers
    ratings: Integers
    rows: Integers
    blocks: Integers
    rated_blocks: Integers


def of_slices(slices: Sequence[UserRatings], layout: Blocks, sparsity: float) -> Uploads:
    """Of users whose ratings are here; exact but for the blocks of decoys."""
    ratings = np.array([len(user.items) for user in slices], np.int64)
    rows = _rows(ratings, layout, sparsity)
    sizes = _sizes(layout)
    blocks, rated_blocks = np.zeros((2, len(slices)), np.int64)
    for at, user in enumerate(slices):
        rated = np.bincount(user.items // layout.rows, minlength=layout.item_count)
        touched = int((rated > 0).sum())
        rated_blocks[at] = touched + len(layout.shared)
        decoys, unrated = rows[at] - len(user.items), layout.items - len(user.items)
        if decoys:
            free = sizes[rated == 0]
            touched += round(float(np.sum(1 - (1 - decoys / unrated) ** free)))
        blocks[at] = touched + len(layout.shared)
    return Uploads(np.array([user.user_id for user in slices], np.int64), ratings, rows, blocks, rated_blocks)


def of_recipe(recipe: Recipe, user_ids: Sequence[int], layout: Blocks, sparsity: float) -> Iterator[Uploads]:
    """Of users who make their own ratings, a range of them at a time, without making them.

    Their numbers of ratings follow the same distribution as those that they will have, but are not those.
    """
    for first in range(0, len(user_ids), _CHUNK_USERS):
        ids = np.array(user_ids[first : first + _CHUNK_USERS])
        ratings = recipe.likely_counts(ids)
        rows = _rows(ratings, layout, sparsity)
        if layout.rows == 1:
            shared = len(layout.shared)
            yield Uploads(ids, ratings, rows, rows + shared, ratings + shared)
            continue
        counts, index = np.unique(ratings, return_inverse=True)
        weights = recipe.popularity()
        uploaded = [
            _likely_blocks(weights, int(rated), int(row), layout)
            for rated, row in zip(counts, _rows(counts, layout, sparsity), strict=True)
        ]
        rated = uploaded
        if sparsity < 1:
            rated = [_likely_blocks(weights, int(count), int(count), layout) for count in counts]
        blocks, rated_blocks = (np.array(each)[index] + len(layout.shared) for each in (uploaded, rated))
        yield Uploads(ids, ratings, rows, blocks, rated_blocks)


def _likely_blocks(weights: Floats, rated: int, rows: int, layout: Blocks) -> int:
    """Blocks that so many rated rows and decoys are in, on average; weights: (items,) of being rated.

    Drawing items by weight is a race of exponential clocks (Gumbel's trick): when ``rated`` of them have
    rung, at about the same time t in every draw, one of weight w was drawn with probability 1 - exp(-w t).
    """
    from scipy.optimize import brentq  # takes longer to import than most runs need to start

    def missing(time: float) -> float:
        return float(np.sum(-np.expm1(-weights * time)) - rated)

    time = 1.0
    while missing(time) < 0 and time < 1e12:
        time *= 2
    if missing(time) > 0:  # otherwise everything is rated, and time is late enough
        time = brentq(missing, 0.0, time, xtol=1e-300)
    padded = np.zeros(layout.item_count * layout.rows)
    padded[: layout.items] = weights
    missed = np.exp(-time * padded.reshape(layout.item_count, layout.rows).sum(axis=1))
    if rows > rated:
        missed *= (1 - (rows - rated) / (layout.items - rated)) ** _sizes(layout)
    return round(float(np.sum(1 - missed)))


def _rows(ratings: Integers, layout: Blocks, sparsity: float) -> Integers:
    """(users,) rows that users with so many training ratings upload."""
    counts, index = np.unique(ratings, return_inverse=True)
    rows = [uploaded_count(int(count), layout.items, sparsity) for count in counts]
    return np.array(rows, np.int64)[index]


def _sizes(layout: Blocks) -> Integers:
    """(blocks,) rows in each: the last may have fewer."""
    sizes = np.full(layout.item_count, layout.rows)
    sizes[-1] = layout.items - layout.rows * (layout.item_count - 1)
    return sizes
