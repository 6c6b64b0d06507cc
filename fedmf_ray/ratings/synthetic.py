"""Seeded ratings with a known structure; each user's come from (seed, user id) alone.

An actor can therefore make its own users' ratings, and no process ever holds the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.ratings.table import Split, UserRatings, split_user

_ITEM_STREAM, _USER_STREAM, _COUNT_STREAM = 4, 5, 7
"""docs/architecture.md lists the streams of a seed."""

_MEAN, _LOWEST, _HIGHEST = 3.5, 0.5, 5.0


@dataclass(frozen=True)
class Synthetic:
    """A population of users 1 to ``users`` and how they rate.

    A rating is 3.5 + <a_i, b_j> + noise, cut to 0.5 to 5 stars, where a_i and b_j are normal vectors of
    length ``rank`` scaled so that their product has a standard deviation of one star.

    sparsity: share of the rating matrix that is missing, in [0, 1).
    noise: standard deviation in stars.
    popularity_skew: item of rank k is drawn with weight (k + 1)**-skew.
    half_stars: round to the half-star grid.
    """

    seed: int
    users: int
    items: int
    sparsity: float
    rank: int = 5
    noise: float = 0.5
    popularity_skew: float = 0.8
    half_stars: bool = True


def user_ratings(spec: Synthetic, user_id: int, split: Split) -> UserRatings:
    """One user's ratings: about (1 - sparsity) * items of them, and at least one more than is held out."""
    item_vectors, log_weights = _items(spec)
    random = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(_USER_STREAM, user_id)))
    count = random.binomial(spec.items, 1 - spec.sparsity)
    count = max(count, split.fewest)
    # Gumbel-top-k: the same as drawing items one after the other by weight without replacement.
    items = np.argsort(-(log_weights + random.gumbel(size=spec.items)), kind="stable")[:count]
    taste = random.normal(size=spec.rank) / np.sqrt(spec.rank)
    values = _MEAN + np.add.reduce(item_vectors[items] * taste, axis=1) + random.normal(0, spec.noise, count)
    if spec.half_stars:
        values = np.rint(values * 2) / 2
    values = np.clip(values, _LOWEST, _HIGHEST)
    # Items come out popular ones first: in that order, the last ratings would be those of rare items.
    return split_user(user_id, items, values, random.permutation(count), split)


def likely_counts(spec: Synthetic, user_ids: NDArray[np.int64], split: Split) -> NDArray[np.int64]:
    """(users,) numbers of training ratings drawn from the law of :func:`user_ratings`, for estimates.

    Millions a second, where asking each user would take a day; not the counts those users will have.
    """
    stream = np.random.SeedSequence(spec.seed, spawn_key=(_COUNT_STREAM, int(user_ids[0])))
    random = np.random.default_rng(stream)
    counts = np.maximum(random.binomial(spec.items, 1 - spec.sparsity, len(user_ids)), split.fewest)
    # Users are many, different pairs of a count and a first fold are few.
    folds = split.folds or 1
    pairs, index = np.unique(counts * folds + random.integers(folds, size=len(counts)), return_inverse=True)
    unique = [divmod(pair, folds) for pair in pairs.tolist()]
    return np.array([count - split.held_out(count, first) for count, first in unique])[index]


def popularity(spec: Synthetic) -> NDArray[np.float64]:
    """(items,) the weight by which each item is drawn."""
    return np.exp(_items(spec)[1])


@lru_cache(maxsize=4)
def _items(spec: Synthetic) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(items, rank) item vectors and (items,) log weights, which all users share."""
    random = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(_ITEM_STREAM,)))
    popularity_rank = random.permutation(spec.items)
    return random.normal(size=(spec.items, spec.rank)), -spec.popularity_skew * np.log(popularity_rank + 1.0)
