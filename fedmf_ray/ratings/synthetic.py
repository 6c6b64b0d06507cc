"""Seeded ratings with a known structure; each user's come from (seed, user id) alone.

An actor can therefore make its own users' ratings, and no process ever holds the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS
from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.names import Names, OnDemand
from fedmf_ray.ratings.scale import Scale
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic_titles import Titles
from fedmf_ray.ratings.table import UserRatings, split_user
from fedmf_ray.ratings.users import Users

_ITEM_STREAM, _USER_STREAM, _COUNT_STREAM = 4, 5, 7
"""docs/architecture.md lists the streams of a seed."""

MOST_USERS, MOST_ITEMS = 10**8, 10**7
"""More than any published data set has. Numbers of items are kept in arrays: 80 MB for the most."""

_LARGEST_TASTES = 10**9
"""Numbers in the item vectors that generate the ratings, which every process holds: 8 GB."""

_FEW, _ATTEMPTS = 4, 16
"""A user who rated less than one item in four draws with replacement, at most so many times 2 n + 16."""

_MEAN, _LOWEST, _HIGHEST = 3.5, 0.5, 5.0


@dataclass(frozen=True)
class Synthetic:
    """Seeded ratings that each user makes for itself. Users have the ids 1 to ``users``.

    A rating is 3.5 + <a_i, b_j> + noise, cut to 0.5 to 5 stars, where a_i and b_j are normal vectors of
    length ``rank`` scaled so that their product has a standard deviation of one star.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    source: Literal["synthetic"] = field(default="synthetic", kw_only=True)
    users: Annotated[int, Gt(0), Le(MOST_USERS)]
    """How many users there are."""
    items: Annotated[int, Gt(0), Le(MOST_ITEMS)]
    """How many items there are."""
    sparsity: Annotated[float, Ge(0), Lt(1)] = 0.9
    """Share of the rating matrix that is missing."""
    rank: Annotated[int, Gt(0), Le(10**4)] = 5
    """True rank of the taste that generates the ratings; no model has more factors."""
    noise: Annotated[float, Ge(0), Le(1e3)] = 0.5
    """Standard deviation of the noise, in stars; ratings have five."""
    popularity_skew: Annotated[float, Ge(0), Le(40)] = 0.8
    """Exponent of the popularity law: item of rank k is drawn with weight (k + 1)**-skew; 0 is uniform. With
    the largest, the weights of a million items still are floats."""
    half_stars: bool = True
    """Round ratings to the half-star grid."""

    def population(self, seed: int, split: Split) -> Users:
        """The users' ids and the recipe for their ratings; nothing is made here."""
        if self.items < split.fewest:
            raise FedMFError(
                f"ratings.items: {self.items} items are too few: a user needs {split.fewest} ratings "
                "to keep one for training (test)"
            )
        if self.items * self.rank > _LARGEST_TASTES:
            raise FedMFError(
                f"ratings.rank: {self.items} items of rank {self.rank} take "
                f"{8e-9 * self.items * self.rank:.1f} GB in every process, at most "
                f"{8e-9 * _LARGEST_TASTES:.0f} are allowed: lower ratings.rank or ratings.items"
            )
        item_ids = np.arange(1, self.items + 1)
        titles = OnDemand(lambda: Titles(_items(self, seed)[0], seed))
        recipe = SyntheticUsers(self, seed, split)
        scale = Scale(_LOWEST, _HIGHEST, 0.5 if self.half_stars else None)
        names = Names(titles=titles)
        return Users(range(1, self.users + 1), item_ids, recipe, names, scale=scale, mean=_MEAN)


@dataclass(frozen=True)
class SyntheticUsers:
    """The recipe for synthetic users' ratings (:class:`fedmf_ray.ratings.users.Recipe`)."""

    spec: Synthetic
    seed: int
    split: Split

    @property
    def mean_ratings(self) -> float:
        return self.spec.items * (1 - self.spec.sparsity)

    def user(self, user_id: int) -> UserRatings:
        return user_ratings(self.spec, self.seed, user_id, self.split)

    def likely_counts(self, user_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return likely_counts(self.spec, self.seed, user_ids, self.split)

    def popularity(self) -> NDArray[np.float64]:
        return popularity(self.spec, self.seed)


def user_ratings(spec: Synthetic, seed: int, user_id: int, split: Split) -> UserRatings:
    """One user's ratings: about (1 - sparsity) * items of them, and at least one more than is held out."""
    item_vectors = _items(spec, seed)[0]
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_USER_STREAM, user_id)))
    count = random.binomial(spec.items, 1 - spec.sparsity)
    count = max(count, split.fewest)
    items = _draw(spec, seed, count, random)
    taste = random.normal(size=spec.rank) / np.sqrt(spec.rank)
    values = _MEAN + np.add.reduce(item_vectors[items] * taste, axis=1) + random.normal(0, spec.noise, count)
    if spec.half_stars:
        values = np.rint(values * 2) / 2
    values = np.clip(values, _LOWEST, _HIGHEST)
    # Items come out popular ones first: in that order, the last ratings would be those of rare items.
    return split_user(user_id, items, values, random.permutation(count), seed, split)


def _draw(spec: Synthetic, seed: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(count,) items drawn one after the other by weight, without replacement.

    Few of many are drawn with replacement, and what came before is passed over: that is the same law, and
    its cost follows the count. Where weights are so unequal that too little is new, the rest of the items is
    drawn from by Gumbel-top-k, again the same law, at a cost that follows the number of items.
    """
    log_weights, cumulative = _items(spec, seed)[1], _cumulative(spec, seed)
    drawn = np.array([], np.int64)
    if count * _FEW < spec.items:
        for _ in range(_ATTEMPTS):
            more = np.searchsorted(cumulative, random.random(2 * count + 16), side="right")
            together = np.concatenate([drawn, more])
            drawn = together[np.sort(np.unique(together, return_index=True)[1])]
            if len(drawn) >= count:
                return drawn[:count]
    keys = log_weights + random.gumbel(size=spec.items)
    keys[drawn] = -np.inf
    rest = np.argsort(-keys, kind="stable")[: count - len(drawn)]
    return np.concatenate([drawn, rest])


def likely_counts(spec: Synthetic, seed: int, user_ids: NDArray[np.int64], split: Split) -> NDArray[np.int64]:
    """(users,) numbers of training ratings drawn from the law of :func:`user_ratings`, for estimates.

    Millions per second, where making each user would take a day; not the counts those users will have.
    """
    stream = np.random.SeedSequence(seed, spawn_key=(_COUNT_STREAM, int(user_ids[0])))
    random = np.random.default_rng(stream)
    counts = np.maximum(random.binomial(spec.items, 1 - spec.sparsity, len(user_ids)), split.fewest)
    # Users are many, different pairs of a count and a first fold are few.
    folds = split.folds or 1
    pairs, index = np.unique(counts * folds + random.integers(folds, size=len(counts)), return_inverse=True)
    unique = [divmod(pair, folds) for pair in pairs.tolist()]
    return np.array([count - split.held_out(count, first) for count, first in unique])[index]


def popularity(spec: Synthetic, seed: int) -> NDArray[np.float64]:
    """(items,) the weight with which each item is drawn."""
    return np.exp(_items(spec, seed)[1])


@lru_cache(maxsize=4)
def _items(spec: Synthetic, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(items, rank) item vectors and (items,) log weights, which all users share."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_ITEM_STREAM,)))
    popularity_rank = random.permutation(spec.items)
    return random.normal(size=(spec.items, spec.rank)), -spec.popularity_skew * np.log(popularity_rank + 1.0)


@lru_cache(maxsize=4)
def _cumulative(spec: Synthetic, seed: int) -> NDArray[np.float64]:
    """(items,) the share of all draws that fall on an item or one before it; the last one is 1."""
    sums = np.cumsum(popularity(spec, seed))
    return np.asarray(sums / sums[-1])
