"""Who takes part: users with ratings from a file, or the recipe by which synthetic ones make their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.answers import Members, SyntheticMembers
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning import uploads
from fedmf_ray.planning.uploads import Uploads
from fedmf_ray.protocol.messages import ItemBlocks
from fedmf_ray.ratings.synthetic import Synthetic, user_ratings
from fedmf_ray.ratings.table import Split, UserRatings
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import SyntheticSource


@dataclass(frozen=True)
class Population:
    """Who takes part: the users' private slices, or the recipe from which they make their own.

    item_ids: (items,) which item each row of the item matrix is.
    """

    user_ids: Sequence[int]
    item_ids: NDArray[np.int64]
    slices: Sequence[UserRatings] | None
    synthetic: Synthetic | None
    split: Split

    @classmethod
    def of(cls, scenario: Scenario) -> Population:
        """Load, select and split, or note down the recipe of synthetic users."""
        split = Split(**scenario.test.model_dump(), seed=scenario.seed)
        source = scenario.ratings
        if isinstance(source, SyntheticSource):
            spec = Synthetic(seed=scenario.seed, **source.model_dump(exclude={"source"}))
            if spec.items < split.fewest:
                raise FedMFError(
                    f"ratings.items: {spec.items} items are too few: a user needs {split.fewest} ratings "
                    "to keep one for training (test)"
                )
            return cls(range(1, spec.users + 1), np.arange(1, spec.items + 1), None, spec, split)
        from fedmf_ray.ratings import files, movielens, table  # pandas stays out of synthetic runs

        if source.source == "movielens":
            ratings = movielens.load(source.dataset, movielens.cache_folder())
        else:
            named = {role: name for role, name in source.columns.model_dump().items() if name}
            ratings = files.load_table(source.path, named)
        wanted = source.select
        ratings, item_ids, user_ids = table.select(
            ratings,
            items=wanted.items,
            users=wanted.users,
            min_raters=wanted.min_raters,
            min_ratings=wanted.min_ratings,
        )
        slices = table.per_user(ratings, item_ids, user_ids, split)
        return cls(user_ids.tolist(), item_ids, slices, None, split)

    def members(self, first: int, stop: int) -> Members:
        """The users at positions first to stop, in the form in which they travel to their actor."""
        if self.slices is not None:
            return self.slices[first:stop]
        assert self.synthetic is not None
        return SyntheticMembers(self.synthetic, self.user_ids[first:stop], self.split)

    @property
    def mean_ratings(self) -> float:
        """Of a user, test set included."""
        if self.slices is not None:
            return sum(len(s.items) + len(s.test_items) for s in self.slices) / len(self.slices)
        assert self.synthetic is not None
        return self.synthetic.items * (1 - self.synthetic.sparsity)

    def uploads(self, layout: ItemBlocks, sparsity: float) -> Iterator[Uploads]:
        """What users will upload, some users at a time; synthetic ones are not made for it."""
        if self.slices is not None:
            yield uploads.of_slices(self.slices, layout, sparsity)
            return
        assert self.synthetic is not None
        yield from uploads.of_synthetic(self.synthetic, self.user_ids, self.split, layout, sparsity)

    def all_ratings(self) -> Sequence[UserRatings]:
        """Every user's ratings in one place: only the central baseline asks for this."""
        if self.slices is not None:
            return self.slices
        assert self.synthetic is not None
        return [user_ratings(self.synthetic, user_id, self.split) for user_id in self.user_ids]
