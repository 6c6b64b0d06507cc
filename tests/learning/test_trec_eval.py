"""Measures of lists against trec_eval's: with ties, short lists, and more relevant items than places."""

import math

import numpy as np
import pytest
import pytrec_eval

from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.ranking import Lists, combine_rankings, ranking_sums

ITEMS, USERS = 40, 60
THEIRS = {"hit_rate": "success", "precision": "P", "recall": "recall", "ndcg": "ndcg_cut"}


def population(seed):
    """Scores with many ties, training and test ratings; some users leave only a few items to be shown."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 8, (USERS, ITEMS)) / 2
    train, test = [], []
    for user in range(USERS):
        rated = random.permutation(ITEMS)
        trained = ITEMS - int(random.integers(1, 6)) if user % 10 == 0 else int(random.integers(0, 20))
        held_out = rated[trained : trained + int(random.integers(1, 20))]
        train.append((rated[:trained], np.full(trained, 3.0)))
        test.append((held_out, random.integers(1, 11, len(held_out)) / 2))
    return scores, RatingBlock.of(train), RatingBlock.of(test)


def of_trec_eval(scores, train, test, k):
    """By user: its measures. trec_eval breaks ties in another way, so it gets the order instead of scores: of
    equal ones the first item first, as here."""
    relevant, ranked = {}, {}
    for user in range(USERS):
        held_out = test.part(user, user + 1)
        liked = held_out.items[held_out.values >= 4]
        shown = np.setdiff1d(np.arange(ITEMS), train.part(user, user + 1).items)
        order = shown[np.argsort(-scores[user][shown], kind="stable")]
        if len(liked):
            relevant[str(user)] = {str(item): 1 for item in liked.tolist()}
            ranked[str(user)] = {str(item): float(-place) for place, item in enumerate(order.tolist())}
    names = {f"{name}.{k}" for name in (*THEIRS.values(), "map_cut")}
    found = pytrec_eval.RelevanceEvaluator(relevant, names).evaluate(ranked)
    return {int(user): values for user, values in found.items()}, relevant


@pytest.mark.parametrize("k", [1, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_user_has_the_same_measures(seed, k):
    scores, train, test = population(seed)
    sums = ranking_sums(lambda user: scores[user], train, test, Lists(k, 4.0))
    theirs, relevant = of_trec_eval(scores, train, test, k)
    assert np.flatnonzero(sums.counts).tolist() == sorted(theirs)
    for user, values in theirs.items():
        for ours, name in THEIRS.items():
            assert sums.measures[ours][user] == pytest.approx(values[f"{name}_{k}"], rel=1e-14), ours
        # trec_eval divides by all relevant items, whether the list has room for them or not.
        found = len(relevant[str(user)])
        expected = values[f"map_cut_{k}"] * found / min(k, found)
        assert sums.measures["map"][user] == pytest.approx(expected, rel=1e-14)
    means = combine_rankings([sums], k).measures
    for ours, name in THEIRS.items():
        mean = math.fsum(values[f"{name}_{k}"] for values in theirs.values()) / len(theirs)
        assert means[ours] == pytest.approx(mean, rel=1e-14)


def test_some_lists_are_short_and_some_have_no_room():
    scores, train, test = population(0)
    _, relevant = of_trec_eval(scores, train, test, 5)
    assert min(ITEMS - np.diff(train.starts)) < 5
    assert max(map(len, relevant.values())) > 5
    assert len(relevant) < USERS
    assert all(len(np.unique(row)) < ITEMS / 2 for row in scores)


def test_coverage_and_popularity_of_lists():
    scores, raters = np.tile(np.arange(4.0), (2, 1)), np.array([8.0, 4.0, 2.0, 0.0])
    train = RatingBlock.of([(np.array([3]), np.ones(1)), (np.array([], np.int64), np.empty(0))])
    test = RatingBlock.of([(np.array([2]), np.full(1, 5.0)), (np.array([0]), np.full(1, 5.0))])
    sums = ranking_sums(lambda user: scores[user], train, test, Lists(2, 4.0), raters)
    assert sums.measures["popularity"].tolist() == [(2 + 4) / 12, (0 + 2) / 12]
    assert combine_rankings([sums], 2).measures["coverage"] == 3 / 4
    uncounted = ranking_sums(lambda user: scores[user], train, test, Lists(2, 4.0))
    assert "popularity" not in uncounted.measures
