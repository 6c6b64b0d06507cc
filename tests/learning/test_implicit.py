"""The implicit rule against LAPACK and loops: its decomposition, its solutions, and whole rounds of it."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.likings import likings
from fedmf_ray.learning.rules import implicit_steps
from fedmf_ray.learning.rules.implicit import MOMENTS, PEOPLE, SIZE, SUMS, Implicit
from fedmf_ray.tables import RATERS
from fedmf_ray.testing.federations import STEPS, federation, setting_of

COUNTS, ITEMS, FACTORS = (0, 1, 9, 4, 7, 2, 8, 8, 5, 11), 12, 3
RULE = Implicit(alpha=5.0, reg=2.0)


def positive(random, size):
    rows = random.normal(size=(3 * size, size))
    return rows.T @ rows


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_rotations_find_what_lapack_finds(size):
    matrix = positive(np.random.default_rng(size), size)
    values, vectors = implicit_steps.eigen(matrix)
    assert np.sort(values) == pytest.approx(np.linalg.eigvalsh(matrix), rel=1e-10)
    assert vectors @ np.diag(values) @ vectors.T == pytest.approx(matrix, abs=1e-10 * values.max())
    assert vectors.T @ vectors == pytest.approx(np.eye(size), abs=1e-12)


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(4), np.diag([1.0, 1e-200, 0.0, 1e100])])
def test_matrices_that_need_no_turning_come_back(matrix):
    values, vectors = implicit_steps.eigen(matrix)
    assert np.array_equal(np.sort(values), np.sort(np.diag(matrix)))
    assert np.array_equal(vectors, np.eye(4))


def test_triangles_are_those_of_lapack():
    random = np.random.default_rng(0)
    matrix, right = positive(random, 6), random.normal(size=(6, 4))
    root = implicit_steps.cholesky(matrix)
    assert root == pytest.approx(np.linalg.cholesky(matrix), abs=1e-12)
    assert root @ implicit_steps.forward(root, right) == pytest.approx(right)
    assert root.T @ implicit_steps.backward(root, right) == pytest.approx(right)


def test_every_item_solves_a_system_of_its_own():
    random = np.random.default_rng(1)
    sums, sizes = random.normal(size=(300, 5)), random.random(300) * 50
    moments, weighted = positive(random, 5), positive(random, 5)
    found = implicit_steps.item_vectors(sums, sizes, moments, weighted, 3.0)
    shape = weighted / np.trace(weighted)
    for item in range(0, 300, 17):
        system = moments + 3.0 * np.eye(5) + sizes[item] * shape
        assert found[item] == pytest.approx(np.linalg.solve(system, sums[item]), rel=1e-9)


def test_without_likings_items_solve_what_is_left():
    random = np.random.default_rng(2)
    sums, moments = random.normal(size=(4, 3)), positive(random, 3)
    found = implicit_steps.item_vectors(sums, np.zeros(4), moments, np.zeros((3, 3)), 1.0)
    assert found == pytest.approx(np.linalg.solve(moments + np.eye(3), sums.T).T)


def test_a_user_minimises_its_own_loss():
    random = np.random.default_rng(3)
    items, rated = random.normal(size=(400, 4)), random.permutation(400)[:290]
    weights = random.choice([0.0, 1.0, 5.0], 290)
    block = RatingBlock.of([(rated, np.zeros(290))])
    base = implicit_steps.gram(items) + 0.5 * np.eye(4)
    (vector,) = implicit_steps.user_vectors(items, base, block, weights)
    trust, wanted = np.ones(400), np.zeros(400)
    trust[rated], wanted[rated] = 1 + weights, weights > 0
    slope = items.T @ (trust * (items @ vector - wanted)) + 0.5 * vector
    assert slope == pytest.approx(np.zeros(4), abs=1e-9)


def by_hand(local, vectors, absent=()):
    """v_j after a round in which everybody but some solves under ``vectors``, with LAPACK; the parts too."""
    setting, users = local.terms.setting, local.users
    base = vectors.T @ vectors + RULE.reg * np.eye(FACTORS)
    sums, sizes = np.zeros((ITEMS, FACTORS)), np.zeros(ITEMS)
    moments, weighted = np.zeros((2, FACTORS, FACTORS))
    for user in range(len(COUNTS)):
        if user in absent:
            continue
        mine = users.train.part(user, user + 1)
        liked = likings(mine.values, STEPS.mean, setting.scale)
        rows, w = vectors[mine.items[liked > 0]], RULE.alpha * liked[liked > 0]
        u = np.linalg.solve(base + (rows.T * w) @ rows, rows.T @ (1 + w))
        moments += np.outer(u, u)
        weighted += liked.sum() * np.outer(u, u)
        sums[mine.items[liked > 0]] += (1 + w)[:, None] * u
        sizes[mine.items[liked > 0]] += w * (u @ u)
    shape = weighted / np.trace(weighted)
    systems = moments + RULE.reg * np.eye(FACTORS) + sizes[:, None, None] * shape
    return np.linalg.solve(systems, sums[:, :, None])[:, :, 0], sums, moments


def after(rounds, absent=None, min_raters=1):
    setting = setting_of(FACTORS, False, min_raters, items=ITEMS, users=len(COUNTS))
    setting = dataclasses.replace(setting, point=FixedPoint(20, 4.0, 0.5, len(COUNTS)))
    local = federation(RULE, setting, COUNTS)
    for number in range(rounds):
        local.round((absent or {}).get(number, ()))
    return local


def test_rounds_are_those_of_the_formulas_but_for_the_grid():
    local = after(0)
    vectors = RULE.item_vectors(local.items, local.terms.setting)[0]
    for _ in range(3):
        vectors, sums, moments = by_hand(local, vectors)
        local.round()
        assert local.items.columns[SUMS] == pytest.approx(sums, abs=2e-2)
        assert local.items.shared[MOMENTS][0, 0] == pytest.approx(moments[0, 0], abs=5e-3)
        found = RULE.item_vectors(local.items, local.terms.setting)[0]
        assert found == pytest.approx(vectors, abs=0.02)  # M has few bits, and few users here
        vectors = found
    assert np.abs(vectors).max() > 0.1


def test_who_is_absent_stays_in_the_rows_as_it_was_and_moments_are_scaled_up():
    local = after(2, {1: (2, 6)})
    there = after(2)
    assert local.items.shared[PEOPLE][0, 0] == len(COUNTS)
    assert np.array_equal(local.items.columns[RATERS], there.items.columns[RATERS])
    found, full = (RULE.item_vectors(one.items, one.terms.setting)[0] for one in (local, there))
    assert not np.array_equal(found, full)
    assert np.corrcoef(found.ravel(), full.ravel())[0, 1] > 0.95
    # Who comes again replaces its part, and nothing of it is left behind.
    local.round()
    parts = local.users.parts
    for item in range(ITEMS):
        mine = local.users.train.items == item
        assert local.items.columns[SUMS][item] == pytest.approx(parts[mine, :FACTORS].sum(axis=0), abs=1e-12)
        assert local.items.columns[SIZE][item, 0] == pytest.approx(parts[mine, FACTORS].sum(), abs=1e-12)


def test_a_round_to_which_nobody_came_begins_again():
    local = after(3, {2: range(len(COUNTS))})
    start = after(0)
    first, again = (RULE.item_vectors(one.items, one.terms.setting)[0] for one in (start, local))
    assert np.array_equal(first, again)


def test_items_with_few_raters_have_no_vector():
    local = after(3, min_raters=6)
    few = local.items.columns[RATERS][:, 0] < 6
    found = RULE.item_vectors(local.items, local.terms.setting)[0]
    assert few.any()
    assert not found[few].any()
    assert found[~few].any(axis=1).all()


def test_a_user_without_likings_is_shown_what_most_have_rated():
    local = after(2)
    assert np.array_equal(local.users.scores(0, local.items, local.terms), local.items.raters)


@pytest.mark.parametrize("key", ["alpha", "reg"])
def test_settings_that_make_no_sense_are_named(key):
    assert (
        Implicit(**{key: 0.0}).problem(STEPS, False) == f"implicit.{key}: should be above 0 and at most 1e9"
    )


def test_rows_at_thirty_factors_have_thirty_two_numbers_in_slots_of_thirty_bits():
    setting = setting_of(30, False, items=9724, users=610)
    setting = dataclasses.replace(setting, point=FixedPoint(20, 4.0, 0.5, 610))
    tables = Implicit().tables(setting)
    assert tables[0].width == 32
    assert max(table.slot_bits for table in tables) == tables[0].slot_bits == 30
