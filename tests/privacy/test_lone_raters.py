"""Rows of rule implicit that one user alone is in, and what keeps them from being read."""

import numpy as np
import pytest

from fedmf_ray.learning.likings import likings
from fedmf_ray.learning.rules.implicit import SIZE, SUMS, Implicit
from fedmf_ray.privacy.lone_raters import likings_of_lone_raters
from fedmf_ray.testing.federations import STEPS, federation, setting_of

COUNTS, ITEMS = (4, 3, 5, 2, 6, 3), 40


def played(min_raters, rounds=3):
    setting = setting_of(3, False, min_raters, items=ITEMS, users=len(COUNTS))
    local = federation(Implicit(reg=2.0), setting, COUNTS)
    for _ in range(rounds):
        local.round()
    return local


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_lone_raters_liking_and_vector_are_read_off_its_row(rounds):
    local = played(1, rounds)
    train, columns = local.users.train, local.items.columns
    liked = likings(train.values, STEPS.mean, local.terms.setting.scale)
    owners = np.repeat(np.arange(len(COUNTS)), np.diff(train.starts))
    lone = np.flatnonzero(local.items.raters == 1)
    found, vectors = likings_of_lone_raters(columns[SUMS][lone], columns[SIZE][lone, 0], 10.0)
    of_user = {}
    for row, liking, vector in zip(lone, found, vectors, strict=True):
        (at,) = np.flatnonzero(train.items == row)
        if liked[at] == 0:
            assert np.isnan(liking)
        else:
            assert liking == pytest.approx(liked[at], abs=1 / 12)
            same = of_user.setdefault(owners[at], vector)
            assert vector == pytest.approx(same, abs=0.02), "its vector links a user's rows"
    assert len(of_user) >= 3


def test_with_a_least_number_of_raters_such_rows_are_empty():
    local = played(2)
    lone = local.items.raters == 1
    assert lone.any()
    assert not local.items.columns[SUMS][lone].any()
    assert not local.items.columns[SIZE][lone].any()
