"""Measures of lists, by hand and against a naive reading of their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.ranking import ALWAYS, Lists, combine_rankings, ranked_by, ranking_sums


def block(*users):
    return RatingBlock.of([(np.array(items, np.int64), np.array(values, float)) for items, values in users])


def measured(scores, train, test, k=3, relevant_from=4.0):
    scores = np.array(scores, float)
    return ranking_sums(lambda _user: scores, block(train), block(test), Lists(k, relevant_from))


def of_user(sums, user):
    """Whether it counts, and its measures but for MAP."""
    names = [name for name in ALWAYS if name != "map"]
    return tuple(float(column[user]) for column in (sums.counts, *(sums.measures[name] for name in names)))


def of_one(sums):
    return of_user(sums, 0)


def test_by_hand():
    # Ranked: 4, 2, 0, 3 (item 1 was trained on). Relevant: 2 and 3. The first three hold one of them, second.
    sums = measured([3.0, 9.0, 4.0, 1.0, 5.0], ([1], [5.0]), ([2, 3, 4], [4.0, 5.0, 3.5]))
    ideal = 1 + 1 / math.log2(3)
    assert of_one(sums) == (
        1,
        1,
        pytest.approx(1 / 3),
        pytest.approx(1 / 2),
        pytest.approx(1 / math.log2(3) / ideal),
    )


def test_of_equal_ones_the_first_row_comes_first():
    tied = [1.0, 2.0, 2.0, 2.0, 2.0]
    assert of_one(measured(tied, ([], []), ([1, 2, 3], [5.0] * 3)))[2] == 1
    assert of_one(measured(tied, ([], []), ([4], [5.0]))) == (1, 0, 0, 0, 0)


def test_a_user_with_nothing_relevant_does_not_count():
    sums = measured([1.0, 2.0], ([], []), ([0, 1], [3.5, 1.0]))
    assert of_one(sums) == (0, 0, 0, 0, 0)
    assert combine_rankings([sums], 3).users == 0
    assert math.isnan(combine_rankings([sums], 3).measures["ndcg"])


def test_fewer_candidates_than_k():
    sums = measured([1.0, 2.0, 3.0], ([2], [5.0]), ([0], [5.0]), k=10)
    assert of_one(sums) == (1, 1, pytest.approx(0.1), 1, pytest.approx(1 / math.log2(3)))


def test_popularity_lifts_what_many_have_rated():
    expected, raters = np.array([4.0, 4.5, 3.0]), np.array([19.0, 0.0, 0.0])
    assert ranked_by(expected, raters, 0.5) == pytest.approx([4 + math.log(20) / 2, 4.5, 3.0])
    assert ranked_by(expected, raters, 0.0) is expected
    assert ranked_by(expected, None, 0.5) is expected


def test_more_relevant_than_k():
    sums = measured([4.0, 3.0, 2.0, 1.0], ([], []), ([0, 1, 2, 3], [5.0] * 4), k=2)
    assert of_one(sums) == (1, 1, 1, pytest.approx(0.5), pytest.approx(1))


def naive(scores, train, test, k, relevant_from):
    candidates = [item for item in range(len(scores)) if item not in train]
    ranked = sorted(candidates, key=lambda item: (-scores[item], item))[:k]
    relevant = {item for item, value in test.items() if value >= relevant_from}
    if not relevant:
        return 0, 0, 0, 0, 0, 0
    hits = [item in relevant for item in ranked]
    dcg = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    at_hits = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    average = sum(at_hits) / min(k, len(relevant))
    return 1, int(any(hits)), sum(hits) / k, sum(hits) / len(relevant), dcg / ideal, average


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), users=st.integers(1, 6))
def test_against_the_definitions(seed, k, users):
    random, items = np.random.default_rng(seed), 15
    scores = random.integers(0, 6, (users, items)) / 2
    mine = [random.permutation(items)[: random.integers(0, items + 1)] for _ in range(users)]
    cuts = [random.integers(0, len(chosen) + 1) for chosen in mine]
    values = [random.integers(1, 11, len(chosen)) / 2 for chosen in mine]
    users_of = list(zip(mine, cuts, values, strict=True))
    train = block(*((chosen[:cut], value[:cut]) for chosen, cut, value in users_of))
    test = block(*((chosen[cut:], value[cut:]) for chosen, cut, value in users_of))
    sums = ranking_sums(lambda user: scores[user], train, test, Lists(k, 4.0))
    for user, (chosen, cut, value) in enumerate(users_of):
        held_out = dict(zip(chosen[cut:].tolist(), value[cut:].tolist(), strict=True))
        *expected, precision = naive(scores[user], set(chosen[:cut].tolist()), held_out, k, 4.0)
        assert of_user(sums, user) == pytest.approx(expected)
        assert sums.measures["map"][user] == pytest.approx(precision)
    parts = [(train.part(user, user + 1), test.part(user, user + 1)) for user in range(users)]
    alone = [
        ranking_sums(lambda _one, user=user: scores[user], *part, Lists(k, 4.0))
        for user, part in enumerate(parts)
    ]
    assert repr(combine_rankings(alone[::-1], k)) == repr(combine_rankings([sums], k))
