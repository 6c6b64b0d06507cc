"""What every source of ratings must do.

class TestNetflix(TableSourceTests):
    def keys(self, folder):
        (folder / "ratings.txt").write_text("...")
        return {"source": "netflix", "path": str(folder / "ratings.txt")}

    def unreadable(self, folder):
        return [{"source": "netflix", "path": str(folder / "missing.txt")}]
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.ratings.users import Recipe, Users
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import SOURCES

Keys = dict[str, Any]

SEED = 3
SPLITS = [Split(), Split(last=1), Split(fraction=0.3), Split(folds=3, fold=1)]


class SourceTests:
    """For any source. Ratings should be few (say, 5 users, 20 items), and at least four of each user."""

    def keys(self, folder: Path) -> Keys:
        """The section ``ratings`` of a scenario; files that it needs are written to ``folder`` before."""
        raise NotImplementedError

    def unreadable(self, folder: Path) -> list[Keys]:
        """Sections that are valid but cannot be loaded, because of a missing file, for example."""
        return []

    def test_a_scenario_chooses_it_by_its_name(self, tmp_path: Path) -> None:
        keys = self.keys(tmp_path)
        chosen = _scenario(keys).ratings
        assert type(chosen) is SOURCES.get(keys["source"])
        assert chosen.source == keys["source"]

    def test_a_written_scenario_is_read_as_the_same(self, tmp_path: Path) -> None:
        scenario = _scenario(self.keys(tmp_path))
        assert scenario_file.parse(yaml.safe_load(scenario.to_yaml()), "written.yaml") == scenario

    def test_an_unknown_key_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FedMFError, match=r"^contract\.yaml: ratings\.no_such_key: unknown key"):
            _scenario(self.keys(tmp_path) | {"no_such_key": 1})

    def test_nothing_changes_after_loading(self, tmp_path: Path) -> None:
        chosen: Any = _scenario(self.keys(tmp_path)).ratings
        with pytest.raises((AttributeError, ValueError)):
            chosen.source = "another"

    @pytest.mark.parametrize("split", SPLITS, ids=str)
    def test_it_gives_the_same_users_every_time(self, tmp_path: Path, split: Split) -> None:
        first, again = _users(self.keys(tmp_path), split), _users(self.keys(tmp_path), split)
        assert list(first.user_ids) == list(again.user_ids)
        assert np.array_equal(first.item_ids, again.item_ids)
        backwards = reversed(_each(again, reversed(range(len(again.user_ids)))))
        for one, other in zip(_each(first), backwards, strict=True):
            assert _same(one, other), f"user {one.user_id} has other ratings the second time"

    def test_ids_are_in_order_and_unique(self, tmp_path: Path) -> None:
        users = _users(self.keys(tmp_path))
        ids = list(users.user_ids)
        assert all(isinstance(user_id, int) for user_id in ids)
        assert ids == sorted(set(ids))
        assert users.item_ids.dtype == np.int64
        assert len(np.unique(users.item_ids)) == len(users.item_ids) > 0
        assert [user.user_id for user in _each(users)] == ids

    @pytest.mark.parametrize("split", SPLITS, ids=str)
    def test_a_user_rates_an_item_once_with_a_finite_number(self, tmp_path: Path, split: Split) -> None:
        users = _users(self.keys(tmp_path), split)
        for user in _each(users):
            rated = np.concatenate([user.items, user.test_items])
            assert user.items.dtype == user.test_items.dtype == np.int64
            assert user.values.dtype == user.test_values.dtype == np.float64
            assert (len(user.items), len(user.test_items)) == (len(user.values), len(user.test_values))
            assert np.isfinite(user.values).all()
            assert np.isfinite(user.test_values).all()
            assert len(np.unique(rated)) == len(rated), f"user {user.user_id} rated an item twice"
            assert ((rated >= 0) & (rated < len(users.item_ids))).all()

    @pytest.mark.parametrize("split", SPLITS, ids=str)
    def test_a_split_holds_out_as_much_as_it_says_and_loses_nothing(
        self, tmp_path: Path, split: Split
    ) -> None:
        whole, parts = _each(_users(self.keys(tmp_path))), _each(_users(self.keys(tmp_path), split))
        for every, part in zip(whole, parts, strict=True):
            assert len(every.items) >= 4, "too few ratings for these tests"
            assert _pairs(part) == _pairs(every)
            train, test = split.masks(SEED, part.user_id, len(every.items))
            assert (len(part.items), len(part.test_items)) == (train.sum(), test.sum())

    def test_what_cannot_be_loaded_is_one_line(self, tmp_path: Path) -> None:
        for keys in self.unreadable(tmp_path):
            with pytest.raises(FedMFError) as caught:
                _users(keys)
            assert "\n" not in str(caught.value)

    def test_a_recipe_travels_and_estimates_what_it_makes(self, tmp_path: Path) -> None:
        """Only for sources whose users make their own ratings."""
        users = _users(self.keys(tmp_path))
        if isinstance(users.ratings, Sequence):
            return
        recipe: Recipe = pickle.loads(pickle.dumps(users.ratings))
        counts = []
        for user in _each(users):
            assert _same(user, recipe.user(user.user_id))
            counts.append(len(user.items) + len(user.test_items))
        likely = recipe.likely_counts(np.array(users.user_ids))
        assert likely.shape == (len(users.user_ids),)
        assert ((likely > 0) & (likely <= len(users.item_ids))).all()
        assert likely.mean() == pytest.approx(np.mean(counts), rel=0.5)
        assert recipe.mean_ratings == pytest.approx(np.mean(counts), rel=0.5)
        assert recipe.popularity().shape == users.item_ids.shape
        assert (recipe.popularity() > 0).all()
        assert np.isfinite(recipe.popularity()).all()


class TableSourceTests(SourceTests):
    """For sources that derive from :class:`fedmf_ray.scenario.sources.TableSource`."""

    def test_it_loads_the_same_table_twice(self, tmp_path: Path) -> None:
        chosen: Any = _scenario(self.keys(tmp_path)).ratings
        first, again = chosen.load(), chosen.load()
        for name in ("user_ids", "item_ids", "values", "timestamps"):
            assert np.array_equal(getattr(first, name), getattr(again, name)), name

    def test_a_selection_is_a_part_of_it(self, tmp_path: Path) -> None:
        keys = self.keys(tmp_path)
        every = _users(keys)
        some = _users(keys | {"select": {"items": 3, "users": 2, "min_ratings": 0}})
        assert some.item_ids.tolist() == every.item_ids[:3].tolist()
        assert list(some.user_ids) == list(every.user_ids)[:2]

    def test_more_than_there_is_cannot_be_selected(self, tmp_path: Path) -> None:
        with pytest.raises(FedMFError, match=r"ratings\.select\.items: 1000000 asked for"):
            _users(self.keys(tmp_path) | {"select": {"items": 1_000_000}})


def _scenario(keys: Keys) -> Scenario:
    return scenario_file.parse({"name": "contract", "ratings": keys}, "contract.yaml")


def _users(keys: Keys, split: Split = SPLITS[0]) -> Users:
    return _scenario(keys).ratings.population(SEED, split)


def _each(users: Users, positions: Any = None) -> list[UserRatings]:
    """Every user's ratings, made in the order of the positions."""
    places = range(len(users.user_ids)) if positions is None else positions
    if isinstance(users.ratings, Sequence):
        return [users.ratings[at] for at in places]
    return [users.ratings.user(users.user_ids[at]) for at in places]


def _same(one: UserRatings, other: UserRatings) -> bool:
    names = ("items", "values", "test_items", "test_values")
    alike = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
    return one.user_id == other.user_id and alike


def _pairs(user: UserRatings) -> list[tuple[int, float]]:
    """(item, value) of all ratings, by item."""
    items = np.concatenate([user.items, user.test_items]).tolist()
    return sorted(zip(items, np.concatenate([user.values, user.test_values]).tolist(), strict=True))
