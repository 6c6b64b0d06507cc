"""The rule of pairs, against loops over everybody's ratings."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.learning.rules.item_item import PAIRS, ItemItem
from fedmf_ray.learning.rules.most_rated import top
from fedmf_ray.testing.federations import STEPS, federation, setting_of

COUNTS = (0, 1, 9, 4, 7, 2, 8, 8, 5, 11)
EVERYBODY = range(len(COUNTS))
ITEMS = 12


def after(rule, rounds=2, ratings=COUNTS, min_raters=1, absent=None):
    setting = setting_of(1, False, min_raters, items=ITEMS, users=len(ratings))
    local = federation(rule, setting, ratings)
    for number in range(rounds):
        local.round((absent or {}).get(number, ()))
    return local


def stars(local, user):
    """What a user has rated, by item, in order of time."""
    mine = local.users.train.part(user, user + 1)
    values = mine.values + local.terms.setting.steps.mean
    return dict(zip(mine.items.tolist(), values.tolist(), strict=True))


def level(rating):
    """On the scale from half a star to five: 3 is 1, 4 is 2, 5 is 3; halves go to the even one."""
    return {2.5: 0, 3: 1, 3.5: 2, 4: 2, 4.5: 2, 5: 3}.get(rating, 0)


def chosen(local, size, least=1, of=EVERYBODY):
    """T, from everybody's ratings."""
    raters = np.zeros(ITEMS, int)
    for user in of:
        raters[list(stars(local, user))] += 1
    ranked = sorted(range(ITEMS), key=lambda item: (-raters[item], item))[:size]
    return [item for item in ranked if raters[item] >= least], raters


def sums(local, items, of=EVERYBODY, cap=None):
    """(k, k) sums of products of levels, from everybody's ratings."""
    total = np.zeros((len(items), len(items)))
    for user in of:
        liked = [(level(rating), at, item) for at, (item, rating) in enumerate(stars(local, user).items())]
        kept = sorted(one for one in liked if one[0] and one[2] in items)[::-1][:cap]
        for first, _, one in kept:
            for second, _, other in kept:
                total[items.index(one), items.index(other)] += first * second
    return total


def read(local, size):
    """(M, M) the sums as users read them."""
    square = np.zeros((size, size))
    square[np.triu_indices(size)] = local.items.shared[PAIRS][:, 0]
    return square + np.triu(square, 1).T


@pytest.mark.parametrize(("size", "cap"), [(12, None), (5, None), (12, 3)])
def test_sums_of_pairs_are_those_of_everybodys_levels(size, cap):
    local = after(ItemItem(top_items=size, cap=cap))
    items, raters = chosen(local, size)
    assert local.items.raters.tolist() == raters.tolist()
    assert top(local.items, size).tolist() == items
    assert np.array_equal(read(local, size)[: len(items), : len(items)], sums(local, items, cap=cap))
    assert read(local, size).any()


def test_the_first_round_counts_and_nothing_else():
    local = after(ItemItem(), rounds=1)
    assert local.items.raters.sum() == sum(COUNTS)
    assert not local.items.shared[PAIRS].any()


def test_who_missed_the_census_adds_pairs_and_moves_no_item_of_the_choice():
    local = after(ItemItem(top_items=5), rounds=3, absent={0: (9,), 2: (2, 4)})
    census = [user for user in range(len(COUNTS)) if user != 9]
    there = [user for user in range(len(COUNTS)) if user not in (2, 4)]
    items, raters = chosen(local, 5, of=census)
    assert local.items.raters.tolist() == raters.tolist()
    assert np.array_equal(read(local, 5), sums(local, items, of=there))


def test_items_with_few_raters_are_no_part_of_the_choice():
    local = after(ItemItem(), min_raters=6)
    items, _ = chosen(local, ITEMS, least=6)
    assert 0 < len(items) < ITEMS
    assert top(local.items, ITEMS).tolist() == items
    known = len(items)
    assert not read(local, ITEMS)[known:].any()
    assert np.array_equal(read(local, ITEMS)[:known, :known], sums(local, items))


def ease(local, items, reg, user):
    """Scores of T by Steck's formulas: B = P / -diag P off the diagonal, 0 on it."""
    p = np.linalg.inv(sums(local, items) / 9 + reg * np.eye(len(items)))
    weights = p / -np.diag(p)[None, :]
    np.fill_diagonal(weights, 0.0)
    liking = np.array([min(1.0, max(0.0, (stars(local, user).get(item, 0) - 2) / 3)) for item in items])
    return liking @ weights


def test_scores_are_those_of_ease_and_the_others_follow_by_their_raters():
    local = after(ItemItem(top_items=5, reg=2.0))
    items, raters = chosen(local, 5)
    for user in range(len(COUNTS)):
        scores = local.users.scores(user, local.items, local.terms)
        expected = ease(local, items, 2.0, user)
        if expected.any():
            assert scores[items] == pytest.approx(expected, abs=1e-8)
            others = [item for item in range(ITEMS) if item not in items]
            assert scores[others].max() < scores[items].min()
            assert (np.diff(scores[others][np.argsort(raters[others])]) >= 0).all()


def test_a_user_without_likings_is_shown_what_most_have_rated():
    local = after(ItemItem(top_items=5))
    scores = local.users.scores(0, local.items, local.terms)
    assert not stars(local, 0)
    assert np.array_equal(np.argsort(-scores, kind="stable"), np.argsort(-local.items.raters, kind="stable"))


def test_one_weight_matrix_serves_all_users_of_a_process(monkeypatch):
    local, calls, invert = after(ItemItem()), [], np.linalg.inv
    monkeypatch.setattr(np.linalg, "inv", lambda matrix: calls.append(1) or invert(matrix))
    for user in range(len(COUNTS)):
        local.users.scores(user, local.items, local.terms)
    assert len(calls) == 1


def test_levels_do_not_depend_on_the_mean():
    rule, ratings = ItemItem(), np.arange(1, 11) / 2
    for mean in (0.0, 3.5, 3.501556983616962, 1 / 3):
        steps = dataclasses.replace(STEPS, mean=mean)
        setting = setting_of(1, False, steps=steps)
        assert rule.levels_of(ratings - mean, setting).tolist() == [level(rating) for rating in ratings]
    longer = dataclasses.replace(setting_of(1, False), scale=(0.0, 100.0))
    mean = longer.steps.mean
    assert rule.levels_of(np.array([33.0, 50, 66, 90, 100]) - mean, longer).tolist() == [0, 1, 1, 3, 3]


@pytest.mark.parametrize("min_raters", [1, 6])
def test_errors_are_those_of_each_users_own_mean(min_raters):
    local = after(ItemItem(), min_raters=min_raters)
    errors = local.users.errors(local.items, local.terms)
    for user in range(len(COUNTS)):
        mine = np.array(list(stars(local, user).values()))
        expected = np.sum((mine - mine.mean()) ** 2) if len(mine) else 0
        assert errors.train_squared[user] == pytest.approx(expected)


def test_levels_are_as_many_as_asked_for():
    sums_of = {levels: after(ItemItem(levels=levels)).items.shared[PAIRS].max() for levels in (1, 10)}
    assert sums_of[1] <= len(COUNTS) < sums_of[10] <= 100 * len(COUNTS)
    (table,) = ItemItem(levels=10).shared(setting_of(1, False, users=610))
    assert (table.slot_bits, table.columns[0].point.round_bits) == (17, 17)
    (table,) = ItemItem().shared(setting_of(1, False, items=9724, users=610))
    assert (table.rows, table.slot_bits) == (125_250, 14)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"top_items": 1}, "item_item.top_items: should be 2 or more"),
        ({"levels": 0}, "item_item.levels: should be 1 or more"),
        ({"cap": 1}, "item_item.cap: should be 2 or more"),
        ({"reg": 0.0}, "item_item.reg: should be above 0 (the sums alone may have no inverse)"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, problem):
    assert ItemItem(**settings).problem(STEPS, False).startswith(problem)


def test_what_does_not_fit_the_data_is_named():
    setting = setting_of(1, False)
    assert ItemItem().unfit(setting) is None
    assert "top_items: 13 items are more than the 12" in ItemItem(top_items=13).unfit(setting)
    assert "one item makes no pair" in ItemItem().unfit(setting_of(1, False, items=1))
    flat = dataclasses.replace(setting, scale=(1.0, 1.0))
    assert (
        ItemItem()
        .unfit(flat)
        .startswith("item_item: a scale from 1 to 1 has no levels of liking: for clicks")
    )


def test_one_user_alone_gets_a_list():
    local = after(ItemItem(), ratings=(9,))
    assert np.isfinite(local.users.scores(0, local.items, local.terms)).all()


def test_clicks_have_no_scale_and_count_alike():
    """Whatever was rated is liked: sums are numbers of users who have both."""
    local = after(ItemItem(rated_is_liked=True, cap=None))
    items, _ = chosen(local, ITEMS)
    both = np.zeros((len(items), len(items)))
    for user in EVERYBODY:
        mine = np.isin(items, list(stars(local, user)))
        both += np.outer(mine, mine)
    assert np.array_equal(read(local, ITEMS)[: len(items), : len(items)], both)
    setting = dataclasses.replace(setting_of(1, False), scale=(1.0, 1.0))
    assert ItemItem(rated_is_liked=True).unfit(setting) is None
