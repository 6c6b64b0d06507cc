"""Co-ratings under the ridge rule, against loops over everybody's ratings and errors."""

import math

import numpy as np
import pytest

from fedmf_ray.learning.items import user_side
from fedmf_ray.learning.rules.co_ratings import CO_RATINGS
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.testing.federations import federation, setting_of
from fedmf_ray.testing.rules import RuleTests

COUNTS = (0, 1, 9, 4, 7, 2, 8, 8, 5, 11)
ITEMS, SIZE, LENGTH = 12, 7, 4.5
RULE = Ridge(co_ratings=SIZE, co_ratings_round=3, shrinkage=2.0)


class TestRidgeWithCoRatings(RuleTests):
    rule = Ridge(co_ratings=SIZE)


def after(rule, rounds, min_raters=1, absent=None):
    local = federation(rule, setting_of(3, True, min_raters, items=ITEMS, users=len(COUNTS)), COUNTS)
    for number in range(rounds):
        local.round((absent or {}).get(number, ()))
    return local


def errors_of(local, user):
    """By item, of what a user rated: what it errs by, cut to half the scale."""
    mine, side = local.users.train.part(user, user + 1), user_side(local.users.vectors, True)[user]
    expected = {item: float(side @ local.items.vectors[item]) for item in mine.items.tolist()}
    pairs = zip(mine.items.tolist(), mine.values.tolist(), strict=True)
    return {item: min(LENGTH / 2, max(-LENGTH / 2, value - expected[item])) for item, value in pairs}


def top_items(local, least=1):
    raters = np.zeros(ITEMS, int)
    for user in range(len(COUNTS)):
        raters[local.users.train.part(user, user + 1).items] += 1
    ranked = sorted(range(ITEMS), key=lambda item: (-raters[item], item))[:SIZE]
    return [item for item in ranked if raters[item] >= least]


def sums(local, items, of):
    products, pairs = np.zeros((2, len(items), len(items)))
    for user in of:
        errors = {item: round(8 * error) for item, error in errors_of(local, user).items() if item in items}
        for one, left in errors.items():
            for other, right in errors.items():
                products[items.index(one), items.index(other)] += left * right
                pairs[items.index(one), items.index(other)] += 1
    return products, pairs


def gained(local, user, item, items, products, pairs):
    """What a prediction gains, by the formula."""
    above = below = 0.0
    errors = errors_of(local, user)
    a = items.index(item)
    for other in (one for one in errors if one in items and one != item):
        b = items.index(other)
        both = products[a, a] * products[b, b]
        if both:
            alike = products[a, b] / math.sqrt(both) * pairs[a, b] / (pairs[a, b] + 2.0)
            above += errors[other] * math.copysign(abs(alike) ** 2.5, alike)
            below += abs(alike) ** 2.5
    return above / (below + 0.1**2.5)


def test_sums_are_those_of_everybodys_errors():
    before, local = after(RULE, 3), after(RULE, 4)
    items = top_items(before)
    products, pairs = sums(before, items, range(len(COUNTS)))
    found = local.items.shared[CO_RATINGS]
    at = np.triu_indices(SIZE)
    assert np.array_equal(found[:, 0], products[at])
    assert np.array_equal(found[:, 1], pairs[at])
    assert pairs.max() > 1
    assert (products < 0).any()


def test_nothing_else_moves_in_their_round():
    before, local = after(RULE, 3), after(RULE, 4)
    assert np.array_equal(before.tables[0], local.tables[0])
    assert np.array_equal(before.users.vectors, local.users.vectors)
    assert not after(RULE, 3).tables[1].any()


def test_predictions_gain_what_neighbours_know():
    local = after(RULE, 4)
    items = top_items(local)
    products, pairs = sums(local, items, range(len(COUNTS)))
    plain = after(Ridge(), 3)
    for user in range(len(COUNTS)):
        scores = local.users.scores(user, local.items, local.terms)
        before = plain.users.scores(user, plain.items, plain.terms)
        for item in range(ITEMS):
            more = gained(local, user, item, items, products, pairs) if item in items else 0.0
            assert scores[item] == pytest.approx(before[item] + more, abs=1e-12)
    assert not np.allclose(scores, before)


def test_errors_are_those_of_the_scores():
    local = after(RULE, 4)
    found = local.users.errors(local.items, local.terms)
    for user in range(len(COUNTS)):
        mine = local.users.train.part(user, user + 1)
        scores = local.users.scores(user, local.items, local.terms)[mine.items]
        assert found.train_squared[user] == pytest.approx(((mine.values - scores) ** 2).sum(), abs=1e-12)


@pytest.mark.parametrize("min_raters", [1, 3])
def test_who_joins_in_their_round_changes_neither_counts_nor_items(min_raters):
    """Counts stay as they were when the items were chosen; its ratings count in the round after."""
    late = {0: [9], 1: [9], 2: [9]}
    before, local = (after(RULE, rounds, min_raters, late) for rounds in (3, 4))
    assert np.array_equal(before.items.raters, local.items.raters)
    assert local.users.counted[9] == 0.0
    assert local.items.shared[CO_RATINGS].any()
    local.round()
    assert local.users.counted[9] == 1.0
    assert not local.items.shared[CO_RATINGS].any(), "they are of one round"


def test_items_with_too_few_raters_are_left_out():
    local = after(RULE, 4, min_raters=6)
    items = top_items(local, least=6)
    assert 1 < len(items) < SIZE
    neighbours = RULE._pairs.neighbours(local.items)
    assert neighbours.top.tolist() == items
    assert neighbours.weights.shape == (len(items), len(items))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"co_ratings": 1}, "ridge.co_ratings: should be 2 or more"),
        ({"co_ratings": 5, "co_ratings_round": 0}, "ridge.co_ratings_round: should be 1 or more"),
        ({"co_ratings": 5, "shrinkage": -1.0}, "ridge.shrinkage: should be 0 to 1e9"),
        ({"co_ratings": 5, "power": 2.25}, "ridge.power: should be 1, 1.5, 2"),
        ({"co_ratings": 5, "power": 0.5}, "ridge.power: should be 1, 1.5, 2"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_named(settings, line):
    setting = setting_of(3, True, 1)
    assert Ridge(**settings).problem(setting.steps, True).startswith(line)
