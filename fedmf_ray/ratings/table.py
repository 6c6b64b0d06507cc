"""One columnar table whatever the source; which part of it takes part; what each user keeps to itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.names import NO_NAMES, Names
from fedmf_ray.ratings.split import Split

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """All ratings of a source, in the order of its file. Validated once, here.

    user_ids, item_ids: (n,) int64. values: (n,) float64, finite. timestamps: (n,) int64.
    source: names the file in error messages. names: of users and items whose ids are text. notes: what a
    person should know about how the file was read, a line each. test: (n,) bool, which ratings are for the
    test if somebody else has split them; None if the scenario says how.
    """

    user_ids: Integers
    item_ids: Integers
    values: Floats
    timestamps: Integers
    source: str = "ratings"
    names: Names = NO_NAMES
    notes: tuple[str, ...] = ()
    test: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        columns = (self.user_ids, self.item_ids, self.values, self.timestamps)
        marked = self.test is None or self.test.shape == self.values.shape
        if len({column.shape for column in columns}) != 1 or self.values.ndim != 1 or not marked:
            raise ValueError("columns of a ratings table must be one-dimensional and equally long")
        if not len(self.values):
            raise FedMFError(f"{self.source}: holds no ratings")
        finite = np.isfinite(self.values)
        if not finite.all():
            at = int(np.argmin(finite))
            raise FedMFError(
                f"{self.source}: rating {at + 1} ({self.pair(at)}) is "
                f"{self.values[at]}: ratings must be finite numbers"
            )
        order = np.lexsort((self.item_ids, self.user_ids))
        users, items = self.user_ids[order], self.item_ids[order]
        twice = np.flatnonzero((users[1:] == users[:-1]) & (items[1:] == items[:-1]))
        if len(twice):
            first, second = order[twice[0]], order[twice[0] + 1]  # lexsort keeps the order of the file
            user = self.names.show_user(int(self.user_ids[first]))
            item = self.names.show_item(int(self.item_ids[first]))
            raise FedMFError(
                f"{self.source}: user {user} rated item {item} more than once "
                f"(rows {first + 1} and {second + 1}): keep one rating of each pair"
            )

    def pair(self, at: int) -> str:
        """Whose rating it is, and of what, for messages."""
        user, item = int(self.user_ids[at]), int(self.item_ids[at])
        return f"user {self.names.show_user(user)}, item {self.names.show_item(item)}"

    def keep(self, mask: NDArray[np.bool_]) -> Ratings:
        """The rows where mask is true, in order."""
        return replace(
            self,
            user_ids=self.user_ids[mask],
            item_ids=self.item_ids[mask],
            values=self.values[mask],
            timestamps=self.timestamps[mask],
            test=None if self.test is None else self.test[mask],
        )


@dataclass(frozen=True)
class UserRatings:
    """What one user keeps private: training ratings in timestamp order, and its test ratings.

    items, test_items: (k,), (h,) int64 rows of the item matrix. values, test_values: float64.
    """

    user_id: int
    items: Integers
    values: Floats
    test_items: Integers
    test_values: Floats


def select(
    ratings: Ratings,
    *,
    items: int | None = None,
    users: int | None = None,
    min_raters: int = 1,
    min_ratings: int = 1,
) -> tuple[Ratings, Integers, Integers]:
    """The part of a table that takes part, the item of each row of the item matrix, and the users' ids.

    In this order, which is the authors': the ``items`` most-rated items of the whole table (ties by first
    appearance), the first ``users`` users of the whole table in numeric order, of those items the ones
    that at least ``min_raters`` of those users rated (only if above 1), then only users with at least
    ``min_ratings`` ratings of those items. If that leaves items with fewer than ``min_raters`` raters, the
    last two steps are repeated until both numbers hold. Items come most-rated first, users in numeric order.
    """
    unique, first_seen, counts = np.unique(ratings.item_ids, return_index=True, return_counts=True)
    by_popularity = unique[np.lexsort((first_seen, -counts))]
    if items is not None and items > len(unique):
        raise FedMFError(f"ratings.select.items: {items} asked for, {ratings.source} has {len(unique)}")
    item_ids = by_popularity[:items]

    user_ids, owner = np.unique(ratings.user_ids, return_inverse=True)
    if users is not None and users > len(user_ids):
        raise FedMFError(f"ratings.select.users: {users} asked for, {ratings.source} has {len(user_ids)}")
    mask = np.isin(ratings.item_ids, item_ids)
    chosen = np.arange(len(user_ids)) < len(user_ids[:users])
    while True:  # with min_raters, a repetition has fewer items than the one before
        if min_raters > 1:
            seen, raters = np.unique(ratings.item_ids[mask & chosen[owner]], return_counts=True)
            item_ids = item_ids[np.isin(item_ids, seen[raters >= min_raters])]
            mask = np.isin(ratings.item_ids, item_ids)
        before = chosen
        chosen = chosen & (np.bincount(owner[mask], minlength=len(user_ids)) >= min_ratings)
        if min_raters == 1 or (chosen == before).all():
            break
    mask &= chosen[owner]
    if not mask.any():
        raise FedMFError(
            f"ratings.select: no user of {ratings.source} has {min_ratings} ratings among the chosen items: "
            "ask for more items or users, or lower min_ratings or min_raters"
        )
    return ratings.keep(mask), item_ids, user_ids[chosen]


def per_user(
    ratings: Ratings, item_ids: Integers, user_ids: Integers, seed: int, split: Split
) -> list[UserRatings]:
    """Each user's slice, in the order of the increasing ``user_ids``; ``item_ids`` are the rows of V.

    Ratings that are split already stay so.
    """
    sorter = np.argsort(item_ids, kind="stable")
    rows = sorter[np.searchsorted(item_ids, ratings.item_ids, sorter=sorter)]
    order = np.argsort(ratings.user_ids, kind="stable")
    starts = np.searchsorted(ratings.user_ids[order], user_ids)
    values, times, names, test = ratings.values, ratings.timestamps, ratings.names, ratings.test
    if test is not None:
        return [
            given_user(int(user_id), rows[mine], values[mine], times[mine], test[mine])
            for user_id, mine in zip(user_ids, np.split(order, starts[1:]), strict=True)
        ]
    return [
        split_user(int(user_id), rows[mine], values[mine], times[mine], seed, split, names)
        for user_id, mine in zip(user_ids, np.split(order, starts[1:]), strict=True)
    ]


def split_user(
    user_id: int,
    items: Integers,
    values: Floats,
    timestamps: Integers,
    seed: int,
    split: Split,
    names: Names = NO_NAMES,
) -> UserRatings:
    """Cut one user's ratings, given in file order, into training and test set.

    Both come in timestamp order; equal timestamps keep the order of the file.
    """
    order = np.argsort(timestamps, kind="stable")
    count = len(order)
    if 0 < count < split.fewest:
        raise FedMFError(
            f"user {names.show_user(user_id)} has {count} ratings, too few to keep one for training: "
            f"hold out fewer (test), or set ratings.select.min_ratings to {split.fewest} or more"
        )
    train, held = (order[mask] for mask in split.masks(seed, user_id, count))
    return UserRatings(user_id, items[train], values[train], items[held], values[held])


def given_user(
    user_id: int, items: Integers, values: Floats, timestamps: Integers, test: NDArray[np.bool_]
) -> UserRatings:
    """One user's ratings, given in file order, of which ``test`` says which are held out; both parts come in
    timestamp order."""
    order = np.argsort(timestamps, kind="stable")
    train, held = order[~test[order]], order[test[order]]
    return UserRatings(user_id, items[train], values[train], items[held], values[held])
