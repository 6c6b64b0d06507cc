"""What sums of pairs give away, played on the tables of a small federation."""

import numpy as np
import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.learning.rules.item_item import PAIRS, ItemItem
from fedmf_ray.learning.rules.most_rated import places_of, square, top
from fedmf_ray.privacy import pairs
from fedmf_ray.testing.federations import federation, setting_of

SIZE, COUNTS = 12, (9, 4, 7, 2, 8, 5, 11, 3)


def played(cap=None, rounds=2):
    rule = ItemItem(top_items=SIZE, cap=cap)
    local = federation(rule, setting_of(1, False, items=SIZE, users=len(COUNTS)), COUNTS)
    for _ in range(rounds):
        local.round()
    return local


def table(local):
    return square(local.items.shared[PAIRS][:, 0], SIZE)


def truth(local):
    """(users, M) the levels that everybody added."""
    rule, setting, users = local.terms.rule, local.terms.setting, local.users
    places, found = places_of(top(local.items, SIZE), SIZE), np.zeros((len(COUNTS), SIZE))
    for user in range(len(COUNTS)):
        mine = users.train.part(user, user + 1)
        found[user, places[mine.items]] = rule.capped(
            rule.levels_of(mine.values, setting), places[mine.items]
        )
    return found


@pytest.mark.parametrize("user", range(len(COUNTS)))
def test_who_is_missing_in_one_of_two_rounds_has_nothing_left_to_hide(user):
    local = played()
    before = table(local)
    local.round(absent=(user,))
    levels = truth(local)[user]
    recovered = pairs.of_one_user(before, table(local))
    assert (recovered is None and not levels.any()) or np.array_equal(recovered, levels)
    assert levels.any() or user in (3, 7)


def test_who_is_there_in_both_rounds_leaves_no_difference():
    local = played()
    before = table(local)
    local.round()
    assert pairs.of_one_user(before, table(local)) is None


def test_two_who_are_missing_are_not_read_as_one():
    local = played()
    before = table(local)
    local.round(absent=(0, 6))
    assert pairs.of_one_user(before, table(local)) is None


def test_a_sum_of_one_is_one_user():
    levels = np.random.default_rng(0).choice([0, 0, 0, 1, 1, 2, 3], (6, 20)).astype(float)
    sums = (levels.T @ levels)[np.triu_indices(20)]
    found = pairs.lone(square(sums, 20))
    assert len(found)
    for first, second in found:
        (user,) = np.flatnonzero(levels[:, first] * levels[:, second])
        assert (levels[user, first], levels[user, second]) == (1, 1)


def test_what_is_excluded_is_certainly_not_liked():
    local = played()
    matrix, levels = table(local), truth(local)
    barred = 0
    for user in range(len(COUNTS)):
        known = np.flatnonzero(levels[user])[:2]
        if len(known):
            excluded = pairs.excluded(matrix, known)
            assert not levels[user][excluded].any()
            barred += excluded.sum()
            assert np.isneginf(pairs.likely(matrix, known)[known]).all()
    assert barred


def test_more_rounds_than_needed_are_warned_of(tmp_path):
    file = tmp_path / "pairs.yaml"
    file.write_text(
        "ratings: {source: synthetic, users: 4, items: 9}\nmodel: {rule: item_item}\n"
        "protocol: {scheme: plain}\ncluster: {backend: serial}\n"
    )
    for rounds, warned in ((2, False), (3, True)):
        words = ["run", str(file), f"stop.rounds={rounds}", "--results", str(tmp_path)]
        printed = CliRunner().invoke(cli, words).output
        assert ("their difference is what that user likes" in printed) is warned


def test_three_items_of_one_user_tell_its_errors():
    """User 0 alone rated any two of the first three; two others rated one of these each."""
    levels = np.array([[4.0, -3.0, 2.0, 1.0], [5.0, 0.0, 0.0, 7.0], [0.0, 0.0, 6.0, 7.0]])
    rated = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 1]], float)
    triples, found = pairs.triangles(levels.T @ levels, rated.T @ rated, 50)
    assert {tuple(three) for three in triples.tolist()} == {(0, 1, 2)}
    assert (found == [4, 3, 2]).all()
    spoiled = levels.T @ levels
    spoiled[0, 1] = spoiled[1, 0] = 7.0
    assert not len(pairs.triangles(spoiled, rated.T @ rated, 50)[0]), "no one user has these products"
