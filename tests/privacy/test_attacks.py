"""Attacks on planted ratings: what must fall falls, and what must not does not."""

import numpy as np
import pytest

from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.rules import Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.privacy import closed_forms, membership, participant
from fedmf_ray.privacy.gradients import READ, recover, strip
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings

GRID = np.arange(1, 11) / 2
STEPS = Steps(learning_rate=1e-3, reg_user=1e-2, reg_item=3e-2)
FACTORS = 40


class Planted:
    """Users with known ratings who train by the protocol's own update, round after round, on the grid."""

    def __init__(self, counts, rule, fraction_bits, items=150, seed=0, sole=False):
        random = np.random.default_rng(seed)
        self.scale = 2.0**fraction_bits
        point = FixedPoint(fraction_bits, 32.0, 1.0, contributors=len(counts))
        setting = Setting(items, FACTORS, False, STEPS, 1, point)
        blocks = Blocks(READ[rule].tables(setting))
        start = Start("normal", 0.15, seed=5)
        self.terms = Terms(np.arange(items), READ[rule], setting, blocks, 1.0, start)
        pool = list(random.permutation(items))
        people = []
        for number, count in enumerate(counts):
            chosen = (
                [pool.pop() for _ in range(count)] if sole else random.choice(items, count, replace=False)
            )
            values = random.choice(GRID, count)
            mine = UserRatings(number, np.array(chosen), values, np.empty(0, np.int64), np.empty(0))
            people.append(mine)
        self.people, self.users = people, Users(people, self.terms)
        self.items = self.round_off(random.normal(0, 0.15, (items, FACTORS)))

    def round_off(self, values):
        return to_floats(to_integers(values, self.scale), self.scale)

    def round(self):
        """V, and each user's (rows, steps, ratings), rows increasing; then everybody has moved."""
        before, uploads = self.items, []
        self.items = before.copy()
        self.users.open()
        read = self.terms.rule.read([before], self.terms.setting, counted=True)
        for user, mine in enumerate(self.people):
            added = self.users.update(user, user + 1, read, self.terms, 0)
            order = np.argsort(mine.items)
            rows, values = mine.items[order], self.round_off(added.steps)[order]
            self.items[rows] += values
            uploads.append((rows, values, mine.values[order]))
        return before, uploads


def recovered(planted, rule, rounds_before=0, attack="grid"):
    """Share of planted ratings that an attack names exactly, from the round after some others."""
    for _ in range(rounds_before):
        planted.round()
    (items, uploads), (later_items, later) = planted.round(), planted.round()
    right = total = 0
    for (rows, values, ratings), (_, later_values, _) in zip(uploads, later, strict=True):
        mine = strip(values, items[rows], rule, STEPS)
        if attack == "grid":
            guess = recover(mine, rule, STEPS, GRID, (later_values, later_items[rows]))[0]
        elif rule == "batch":
            guess = closed_forms.two_rounds(mine, strip(later_values, later_items[rows], rule, STEPS), STEPS)
        else:
            guess = closed_forms.consecutive(mine, STEPS)
        right += int((np.abs(guess - ratings) < 0.25).sum())
        total += len(ratings)
    return right / total


@pytest.mark.parametrize("rule", ["batch", "sequential"])
@pytest.mark.parametrize("fraction_bits", [40, 20])
@pytest.mark.parametrize("rounds_before", [0, 8])
def test_the_grid_attack_names_every_rating(rule, fraction_bits, rounds_before):
    planted = Planted([5, 20, 60, 120, 9, 33], rule, fraction_bits)
    assert recovered(planted, rule, rounds_before) >= 0.99


@pytest.mark.parametrize("rule", ["batch", "sequential"])
def test_one_or_two_ratings_need_the_next_round(rule):
    planted = Planted([1, 2] * 20, rule, 40)
    items, uploads = planted.round()
    later_items, later = planted.round()
    one = two = total = 0
    for (rows, values, ratings), (_, later_values, _) in zip(uploads, later, strict=True):
        mine = strip(values, items[rows], rule, STEPS)
        one += int((recover(mine, rule, STEPS, GRID)[0] == ratings).sum())
        following = (later_values, later_items[rows])
        two += int((recover(mine, rule, STEPS, GRID, following)[0] == ratings).sum())
        total += len(ratings)
    assert two == total
    assert one < total


@pytest.mark.parametrize("rule", ["batch", "sequential"])
def test_the_papers_closed_forms_hold_for_gradients_as_good_as_floats(rule):
    assert recovered(Planted([5, 20, 60, 120], rule, 40), rule, attack="closed form") == 1


def test_the_closed_form_collapses_on_coarse_gradients_where_the_grid_attack_does_not():
    coarse = Planted([20, 60, 120], "sequential", 14)
    assert recovered(coarse, "sequential", 4, "closed form") < 0.4
    assert recovered(Planted([20, 60, 120], "sequential", 14), "sequential", 4) > 0.97


def test_the_attack_also_finds_the_user_vector():
    planted = Planted([30], "batch", 40)
    before = planted.users.vectors[0].copy()
    items, ((rows, values, _),) = planted.round()
    _, vector, misfit = recover(strip(values, items[rows], "batch", STEPS), "batch", STEPS, GRID)
    assert vector == pytest.approx(before, abs=1e-6)
    assert misfit < 1e-6


def test_noise_is_not_taken_for_ratings():
    """Rows that no user made: ratings do not fall on the grid, and the misfit says so."""
    random = np.random.default_rng(3)
    rows = strip(random.normal(0, 1e-3, (40, FACTORS)), random.normal(0, 0.15, (40, FACTORS)), "batch", STEPS)
    assert recover(rows, "batch", STEPS, GRID)[2] > 0.08


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="no attack is known on rule 'adam'"):
        strip(np.zeros((1, 2)), np.zeros((1, 2)), "adam", STEPS)


@pytest.mark.parametrize("rule", ["batch", "sequential"])
def test_a_curious_user_names_the_ratings_of_items_that_one_user_rated(rule):
    planted = Planted([20, 30, 40], rule, 20, sole=True)
    before, uploads = planted.round()
    found = participant.recover_from_changes(before, planted.items, rule, STEPS, GRID)
    truth = {row: rating for rows, _, ratings in uploads for row, rating in zip(rows, ratings, strict=True)}
    guesses = {row: rating for group in found for row, rating in zip(*group, strict=True)}
    assert len(guesses) >= 85  # of 90: the odd row may stand apart from its group
    assert np.mean([truth[row] == rating for row, rating in guesses.items()]) > 0.98
    for group in found:  # no group mixes users
        assert sum(bool(set(group.rows) & set(rows)) for rows, _, _ in uploads) == 1


def test_a_curious_user_names_nothing_where_everybody_rated_everything():
    planted = Planted([60] * 4, "batch", 20, items=60)
    before, _ = planted.round()
    assert participant.recover_from_changes(before, planted.items, "batch", STEPS, GRID) == []


def test_decoys_are_right_as_often_as_the_formula_says():
    random = np.random.default_rng(0)
    rated = [random.choice(200, size, replace=False) for size in (10, 50, 90, 30)]
    others = [np.setdiff1d(np.arange(200), mine) for mine in rated]
    decoys = [random.choice(rest, max(0, len(rest) - 140), replace=False) for rest in others]
    uploads = [np.union1d(mine, more) for mine, more in zip(rated, decoys, strict=True)]
    right = sum(len(np.intersect1d(a, b)) for a, b in zip(rated, uploads, strict=True))
    taken = sum(map(len, uploads))
    sizes = np.array([len(mine) for mine in rated])
    assert right / taken == pytest.approx(membership.expected_precision(sizes, 60))
    assert membership.expected_precision(sizes, 60) == 180 / (60 + 60 + 90 + 60)


def test_popularity_tells_decoys_apart_and_users_without_decoys_are_sure():
    random = np.random.default_rng(1)
    popular = np.arange(20)
    uploads = [np.concatenate([popular, 20 + random.choice(380, 60, replace=False)]) for _ in range(50)]
    uploads.append(np.arange(100))  # more rows than the dial asks for
    likely = membership.suspected(uploads, 400, 80)
    assert likely[0][:20].min() > 0.8
    assert likely[0][20:].mean() < 0.4
    assert (likely[-1] == 1).all()


def test_fresh_decoys_fall_to_intersection_and_fixed_ones_do_not():
    random = np.random.default_rng(2)
    rated = np.arange(10)

    def drawn():
        return np.concatenate([rated, 10 + random.choice(190, 40, replace=False)])

    fixed = drawn()
    assert len(membership.intersection([[fixed]] * 9)[0]) == 50
    assert membership.intersection([[drawn()] for _ in range(9)])[0].tolist() == rated.tolist()
