"""Ratings as a run keeps them: the same numbers in half the memory."""

import numpy as np
import pytest

from fedmf_ray.learning.blocks import KeptRatings, RatingBlock
from fedmf_ray.learning.metrics import error_sums, kept_error_sums

RNG = np.random.default_rng(3)
COUNTS = [3, 0, 50, 1, 7, 0]


def people(ratings):
    return [(RNG.choice(90, count, replace=False), ratings(count)) for count in COUNTS]


HALVES = (lambda count: RNG.integers(1, 11, count) / 2, np.float32)
ANY = (lambda count: RNG.uniform(0, 5, count), np.float64)


@pytest.mark.parametrize("mean", [0.0, 3.5, 3.1234567])
@pytest.mark.parametrize(("ratings", "kept_as"), [HALVES, ANY], ids=["half stars", "any number"])
def test_parts_are_those_of_a_block(ratings, kept_as, mean):
    users = people(ratings)
    kept = KeptRatings(users, mean)
    block = RatingBlock.of([(items, values - mean) for items, values in users])
    assert kept._ratings.dtype == kept_as
    assert kept.items.dtype == np.int32
    for first, stop in ((0, 6), (2, 5), (1, 2), (3, 3)):
        for mine, expected in zip(kept.part(first, stop), block.part(first, stop), strict=True):
            assert mine.dtype == expected.dtype
            assert np.array_equal(mine, expected)
    assert np.array_equal(kept.values, block.values)


def test_items_that_four_bytes_do_not_hold_have_eight():
    kept = KeptRatings([(np.array([1, 1 << 31]), np.array([1.0, 2.0]))], 0.0)
    assert kept.whole.items.tolist() == [1, 1 << 31]


@pytest.mark.parametrize("most", [1, 4, 60, 1000])
def test_groups_are_all_users_once(most):
    kept = KeptRatings(people(HALVES[0]), 0.0)
    groups = list(kept.groups(most))
    assert [user for first, stop in groups for user in range(first, stop)] == list(range(6))
    for first, stop in groups:
        assert stop == first + 1 or kept.starts[stop] - kept.starts[first] <= most


@pytest.mark.parametrize("corrected", [False, True])
def test_errors_are_those_of_a_block(monkeypatch, corrected):
    monkeypatch.setattr("fedmf_ray.learning.metrics._AT_ONCE", 8)
    train, test = (KeptRatings(people(HALVES[0]), 3.5) for _ in range(2))
    vectors, matrix = RNG.normal(size=(6, 4)), RNG.normal(size=(90, 4))
    more = (lambda user, rows: user + rows / 8) if corrected else None
    found = kept_error_sums(vectors, matrix, train, test, (-3.0, 1.5), more)
    expected = error_sums(vectors, matrix, train.whole, test.whole, (-3.0, 1.5), more)
    for mine, those in zip(found, expected, strict=True):
        assert np.array_equal(mine, those)
