"""Who takes part, as a source says it: the users' ratings, or a recipe by which users make their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.ratings.names import NO_NAMES, Names
from fedmf_ray.ratings.scale import Scale
from fedmf_ray.ratings.table import UserRatings

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Recipe(Protocol):
    """Makes users' ratings in the process where the users are; no process ever holds all of them.

    It is pickled to every user actor, so its module should import neither pandas nor pydantic.
    """

    @property
    def mean_ratings(self) -> float:
        """Expected number of ratings of a user, test set included."""
        ...

    def user(self, user_id: int) -> UserRatings:
        """One user's ratings, the same whatever other users were made before."""
        ...

    def likely_counts(self, user_ids: Integers) -> Integers:
        """(users,) numbers of training ratings, drawn from the same distribution, for estimates."""
        ...

    def popularity(self) -> Floats:
        """(items,) relative weights with which users choose items, above 0."""
        ...


class Users(NamedTuple):
    """The users of a scenario.

    user_ids: increasing. item_ids: (items,) which item each row of the item matrix is. ratings: one entry per
    user, in the order of ``user_ids``, or the recipe for them. names: of users and items, to show to people.
    notes: what a person should know about how the ratings were read, a line each. scale: of the ratings; if
    the source does not say, it is inferred from those for training. mean: of all, where a recipe knows it.
    """

    user_ids: Sequence[int]
    item_ids: Integers
    ratings: Sequence[UserRatings] | Recipe
    names: Names = NO_NAMES
    notes: tuple[str, ...] = ()
    scale: Scale | None = None
    mean: float | None = None


@dataclass(frozen=True)
class GeneratedMembers:
    """Users who make their own ratings where they live."""

    recipe: Recipe
    user_ids: Sequence[int]


Members = Sequence[UserRatings] | GeneratedMembers
"""The users of one actor, in the form in which they travel to it."""
