"""What every measure of lists must do.

class TestReciprocalRank(MeasureTests):
    measure = staticmethod(reciprocal_rank)
    bounds = (0.0, 1.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from fedmf_ray.learning import ranking
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.ranking import Listed, Lists, Measure, RankingSums, combine_rankings, ranking_sums

Floats = NDArray[np.float64]

ITEMS, USERS = 15, 40


class MeasureTests:
    """For any measure. measure: a function of one list (in a class, a ``staticmethod``). bounds: the least
    and the largest number that it may give, if it has such."""

    measure: Measure
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @pytest.mark.parametrize("counted", [False, True], ids=["nobody is counted", "raters"])
    def test_it_is_a_number_within_its_bounds(self, counted: bool) -> None:
        for listed in _lists(counted):
            value = self._measured(listed)
            assert isinstance(value, float | int | np.number)
            assert math.isfinite(value), listed
            assert self.bounds[0] <= value <= self.bounds[1], listed

    def test_it_says_the_same_again_and_changes_nothing(self) -> None:
        """Lists cannot be written to: a measure that does so raises."""
        first = [self._measured(listed) for listed in _lists(counted=True)]
        assert [self._measured(listed) for listed in _lists(counted=True)] == first

    @pytest.mark.parametrize("length", [1, 2, 3])
    @pytest.mark.parametrize("found", [False, True])
    def test_a_list_may_be_shorter_than_was_asked_for(self, length: int, found: bool) -> None:
        listed = Listed(np.arange(length), np.full(length, found), length, 10, None)
        assert self.bounds[0] <= self._measured(listed) <= self.bounds[1]

    def test_more_may_be_relevant_than_a_list_holds(self) -> None:
        listed = Listed(np.arange(3), np.ones(3, bool), 50, 3, np.ones(ITEMS))
        assert self.bounds[0] <= self._measured(listed) <= self.bounds[1]

    def test_of_equal_scores_the_order_is_agreed_on(self) -> None:
        scores = np.full((USERS, ITEMS), 2.5)
        first = self._sums(scores)
        assert np.isfinite(first).all()
        assert np.array_equal(self._sums(scores.copy()), first)

    def test_a_mean_does_not_depend_on_the_order_of_users(self) -> None:
        scores = np.random.default_rng(1).normal(size=(USERS, ITEMS))
        train, test = _ratings()
        means = []
        for order in (range(USERS), range(USERS)[::-1], np.random.default_rng(2).permutation(USERS)):
            parts = [
                self._ranked(scores[[user]], train.part(user, user + 1), test.part(user, user + 1))
                for user in order
            ]
            means.append(repr(combine_rankings(parts, 5)))
        assert len(set(means)) == 1

    def test_a_user_counts_the_same_in_any_company(self) -> None:
        scores = np.random.default_rng(3).normal(size=(USERS, ITEMS))
        train, test = _ratings()
        together = self._sums(scores)
        for user in range(USERS):
            alone = self._ranked(scores[[user]], train.part(user, user + 1), test.part(user, user + 1))
            assert alone.measures["measured"][0] == together[user]

    def _measured(self, listed: Listed) -> float:
        for array in (listed.rows, listed.found, listed.raters):
            if array is not None:
                array.flags.writeable = False
        return type(self).measure(listed)

    def _sums(self, scores: Floats) -> Floats:
        return self._ranked(scores, *_ratings()).measures["measured"]

    def _ranked(self, scores: Floats, train: RatingBlock, test: RatingBlock) -> RankingSums:
        """As a run does it, if the measure were one that is always reported."""
        always = ranking.ALWAYS | {"measured": type(self).measure}
        with mock.patch.object(ranking, "ALWAYS", always):
            return ranking_sums(lambda user: scores[user], train, test, Lists(5, 4.0), np.ones(ITEMS))


def _lists(counted: bool) -> Iterator[Listed]:
    """Of any length, with anything found in them."""
    random = np.random.default_rng(0)
    for _ in range(300):
        k = int(random.integers(1, 12))
        length = int(random.integers(1, k + 1))
        found = random.random(length) < random.random()
        relevant = max(1, int(found.sum() + random.integers(0, 4)))
        raters = random.integers(0, 50, ITEMS).astype(float) if counted else None
        yield Listed(random.permutation(ITEMS)[:length], found, relevant, k, raters)


def _ratings() -> tuple[RatingBlock, RatingBlock]:
    """Training and test ratings; some users have nothing that is relevant."""
    random, train, test = np.random.default_rng(4), [], []
    for _ in range(USERS):
        rated, cut = random.permutation(ITEMS)[:10], int(random.integers(0, 10))
        values = random.integers(1, 11, 10) / 2
        train.append((rated[:cut], values[:cut]))
        test.append((rated[cut:], values[cut:]))
    return RatingBlock.of(train), RatingBlock.of(test)
