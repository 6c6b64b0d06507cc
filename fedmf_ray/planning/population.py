"""Who takes part: users with ratings from a table, or the recipe by which users make their own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.planning import uploads
from fedmf_ray.planning.uploads import Uploads
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.ratings.names import NO_NAMES, Names
from fedmf_ray.ratings.scale import STARS, Scale, inferred
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.ratings.users import GeneratedMembers, Members, Recipe
from fedmf_ray.scenario.schema import Scenario


@dataclass(frozen=True)
class Population:
    """Who takes part; the fields are those of :class:`fedmf_ray.ratings.users.Users`."""

    user_ids: Sequence[int]
    item_ids: NDArray[np.int64]
    ratings: Sequence[UserRatings] | Recipe
    names: Names = NO_NAMES
    notes: tuple[str, ...] = ()
    told_scale: Scale | None = None
    told_mean: float | None = None

    @classmethod
    def of(cls, scenario: Scenario) -> Population:
        """Ask the scenario's source; a table is loaded, selected and split here."""
        return cls(*scenario.ratings.population(scenario.seed, scenario.test))

    @cached_property
    def scale(self) -> Scale:
        """The scale of ratings: as the source says, or what those for training show; 0.5 to 5 where neither
        can be known, because users make their ratings where they live."""
        if self.told_scale is None and self.slices:
            return inferred(np.concatenate([user.values for user in self.slices]))
        return self.told_scale or STARS

    def mean_rating(self) -> float:
        """The mean of all training ratings, as coarse as :meth:`fedmf_ray.ratings.scale.Scale.rounded` makes
        it; the same in whatever order users report."""
        if self.slices is not None:
            count = sum(len(user.values) for user in self.slices)
            total = math.fsum(value for user in self.slices for value in user.values.tolist())
            return self.scale.rounded(total / count)
        if self.told_mean is None:
            raise FedMFError(
                "model.mean: auto needs ratings that are known here, or a source that says their mean: give "
                "model.mean as a number"
            )
        return self.told_mean

    def digest(self) -> str:
        """Of who takes part, and which items there are: a checkpoint belongs to a run with the same."""
        ids = np.asarray(self.user_ids, np.int64), np.asarray(self.item_ids, np.int64)
        return hashlib.sha256(b"|".join(array.tobytes() for array in ids)).hexdigest()

    @property
    def slices(self) -> Sequence[UserRatings] | None:
        """Every user's private ratings, if they are in this process."""
        return self.ratings if isinstance(self.ratings, Sequence) else None

    def members(self, first: int, stop: int) -> Members:
        """The users at positions first to stop, in the form in which they travel to their actor."""
        if isinstance(self.ratings, Sequence):
            return self.ratings[first:stop]
        return GeneratedMembers(self.ratings, self.user_ids[first:stop])

    @property
    def mean_ratings(self) -> float:
        """Mean number of ratings of a user, test set included."""
        if isinstance(self.ratings, Sequence):
            return sum(len(user.items) + len(user.test_items) for user in self.ratings) / len(self.ratings)
        return self.ratings.mean_ratings

    def uploads(self, blocks: Blocks, sparsity: float) -> Iterator[Uploads]:
        """What users will upload, for a contiguous range of users at a time; no user is made for it."""
        if isinstance(self.ratings, Sequence):
            yield uploads.of_slices(self.ratings, blocks, sparsity)
        else:
            yield from uploads.of_recipe(self.ratings, self.user_ids, blocks, sparsity)

    def all_ratings(self) -> Sequence[UserRatings]:
        """Every user's ratings in one place: for central baselines and audits only."""
        if isinstance(self.ratings, Sequence):
            return self.ratings
        return [self.ratings.user(user_id) for user_id in self.user_ids]
