"""The ridge rule: the best vectors, steps that never overshoot, and nothing that is not a number."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.items import Items, item_columns, user_side
from fedmf_ray.learning.rules import Setting
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.learning.rules.ridge_steps import (
    CURVATURE,
    CURVATURE_BITS,
    LARGEST_CURVATURE,
    Raters,
    RaterSums,
    bias_scale,
    curvatures,
    item_steps,
    refit,
    solve,
    step_scale,
)
from tests.learning.populations import alone, owners, some_users

STEPS = Steps(1.0, reg_user=3.0, reg_item=2.0, reg_user_bias=0.7, reg_item_bias=0.5)
seeds = st.integers(0, 10_000)


def setting_of(factors=5, bias=True, items=12):
    return Setting(items, factors, bias, STEPS, 1, FixedPoint(20, 16.0, 8.0, contributors=30))


def sums_of(bias=True, factors=5):
    return RaterSums.of(setting_of(factors, bias))


def read(rows, bias, factors, counted=True):
    """What users read from rows of the item table."""
    return Ridge().read([rows], setting_of(factors, bias, len(rows)), counted)


def a_federation(seed, bias=True, factors=5, **shape):
    """Vectors, items with the true counts and curvatures of these users, and their ratings."""
    vectors, matrix, block = some_users(seed, factors=factors + bias, **shape)
    part, of = curvatures(vectors, factors), owners(block)
    curvature = np.bincount(block.items, part[of], len(matrix))
    raters = np.bincount(block.items, minlength=len(matrix)).astype(float)
    rows = np.column_stack([matrix * sums_of(bias, factors).weights(raters), curvature, raters])
    return vectors, read(rows, bias, factors), block, Raters(part[of], np.ones_like(part), part)


def opening(items):
    """The same vectors, of which nobody knows who has rated them."""
    return Items(items.vectors)


def newcomers(raters, now=None):
    """The same users before any of them is counted."""
    return Raters(0 * raters.part, 0 * raters.counted, raters.now if now is None else now)


def moved(items, block, steps, bias, newcomers=0.0):
    """(items, d or d + 2) as users read them after all these steps have been added; newcomers: (items,)."""
    factors = items.vectors.shape[1] - 2 * bias
    sums = sums_of(bias, factors)
    before = np.zeros(len(items.vectors)) if items.raters is None else items.raters
    columns = item_columns(items.vectors, factors, bias) * sums.weights(before)
    np.add.at(columns, block.items, steps)
    after = columns / sums.weights(before + newcomers)
    return np.insert(after, factors, 1.0, axis=1) if bias else after


def item_losses(vectors, items, block, bias, weights=STEPS):
    """(items,) what the items' own vectors and biases minimise, given the users."""
    errors = block.values - np.sum(user_side(vectors, bias)[owners(block)] * items[block.items], axis=1)
    losses = np.bincount(block.items, errors**2, len(items))
    factors = items[:, : vectors.shape[1] - bias]
    losses += weights.reg_item * np.sum(factors**2, axis=1)
    return losses + (weights.reg_item_bias * items[:, -1] ** 2 if bias else 0)


@given(seed=seeds, size=st.integers(1, 40), count=st.integers(1, 5))
def test_solve_solves(seed, size, count):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(count, size, size + 2))
    matrices = half @ half.transpose(0, 2, 1) + 0.1 * np.eye(size)
    right = rng.normal(size=(count, size))
    expected = np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    assert solve(matrices.copy(), right.copy()) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(seed=seeds, bias=st.booleans(), factors=st.sampled_from([1, 5, 31]))
def test_refit_is_where_the_loss_is_flat(seed, bias, factors):
    _, items, block, _ = a_federation(seed, bias, factors)
    found = user_side(refit(items, block, STEPS, bias), bias)
    for user in range(len(found)):
        mine = alone(block, user)
        rows = items.vectors[mine.items]
        slope = -2 * (mine.values - rows @ found[user]) @ rows + 2 * STEPS.reg_user * found[user]
        if bias:
            slope[-2] += 2 * (STEPS.reg_user_bias - STEPS.reg_user) * found[user][-2]
            slope = slope[:-1]  # the last coordinate is the one beside b_j, which stays
        assert np.abs(slope).max() < 1e-9 * max(1, np.abs(mine.values).sum())


@given(seed=seeds, bias=st.booleans())
def test_a_user_gets_the_same_bits_in_any_company(seed, bias):
    vectors, items, block, raters = a_federation(seed, bias, most=200, items=300)
    together = refit(items, block, STEPS, bias)
    sums = sums_of(bias)
    steps = item_steps(vectors, items, block, STEPS, raters, sums)
    for user in range(len(vectors)):
        mine, one = alone(block, user), slice(user, user + 1)
        assert np.array_equal(refit(items, mine, STEPS, bias)[0], together[user])
        begin, end = block.starts[user], block.starts[user + 1]
        its = Raters(raters.part[begin:end], raters.counted[one], raters.now[one])
        assert np.array_equal(
            item_steps(vectors[one], items, mine, STEPS, its, sums),
            steps[begin:end],
        )


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_the_sum_of_steps_never_overshoots(seed, bias, users):
    """Every item's loss falls, or stays where it is lowest, with all users' steps taken at once."""
    vectors, items, block, raters = a_federation(seed, bias, users=users)
    steps = item_steps(vectors, items, block, STEPS, raters, sums_of(bias))
    after = moved(items, block, steps, bias)
    losses = [item_losses(vectors, side, block, bias) for side in (items.vectors, after)]
    assert (losses[1] <= losses[0] * (1 + 1e-12)).all()
    assert losses[1].sum() < losses[0].sum()


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_the_first_round_moves_items_to_the_mean_of_what_raters_would_do_alone(seed, bias, users):
    """Nobody knows how many they are when they upload; users divide when they read."""
    vectors, items, block, raters = a_federation(seed, bias, users=users, items=12)
    sums, counts = sums_of(bias), np.bincount(block.items, minlength=12).astype(float)
    first, of = opening(items), owners(block)
    steps = item_steps(vectors, first, block, STEPS, newcomers(raters), sums)
    after = moved(first, block, steps, bias, counts)
    side = user_side(vectors, bias)[of]
    error = block.values - np.sum(side * items.vectors[block.items], axis=1)
    for item in range(12):
        at = np.flatnonzero(block.items == item)
        own = raters.now[of[at]] * 2**CURVATURE_BITS
        lengths = np.maximum(np.sum(vectors[of[at], :5] ** 2, axis=1), 1e-12)
        short = 1.6 * np.minimum(1, LARGEST_CURVATURE / lengths) * error[at]
        votes = (short / (STEPS.reg_item * np.maximum(own, 1)))[:, None] * side[at, :5]
        expected = items.vectors[item, :5] + votes.sum(axis=0) / (1 + len(at) / sums.prior[0])
        assert after[item, :5] == pytest.approx(expected, abs=1e-9)
        if bias:
            bias_step = 1.6 * error[at].sum() / (4 * len(at) + STEPS.reg_item_bias)
            assert after[item, -1] == pytest.approx(items.vectors[item, -1] + bias_step, abs=1e-9)


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_first_steps_do_not_overshoot_among_users_who_are_alike(seed, bias, users):
    vectors, items, block, raters = a_federation(seed, bias, users=users)
    lengths = np.sqrt(np.maximum(curvatures(vectors, 5), 1e-9))
    vectors[:, :5] *= np.minimum(1.0, lengths.min() / lengths)[:, None]
    first, alike = opening(items), newcomers(raters, curvatures(vectors, 5))
    steps = item_steps(vectors, first, block, STEPS, alike, sums_of(bias))
    counts = np.bincount(block.items, minlength=len(items.vectors)).astype(float)
    after = moved(first, block, steps, bias, counts)
    # Nobody knows its share of the regulariser yet: only errors count.
    none = dataclasses.replace(STEPS, reg_item=0.0, reg_item_bias=0.0)
    losses = [item_losses(vectors, side, block, bias, none) for side in (items.vectors, after)]
    assert (losses[1] <= losses[0] * (1 + 1e-12)).all()


@given(seed=seeds, bias=st.booleans())
def test_who_comes_late_leaves_everything_where_it_is_but_for_its_step(seed, bias):
    """A newcomer raises n_j, by which users divide, and adds the share of the value that makes up for it."""
    vectors, items, block, raters = a_federation(seed, bias, users=6)
    sums, late = sums_of(bias), newcomers(raters)
    steps = item_steps(vectors, items, block, STEPS, late, sums)
    one_more = dataclasses.replace(items, raters=items.raters + 1)
    own = item_steps(vectors, one_more, block, STEPS, late._replace(counted=np.ones(6)), sums)
    # Those who are in n_j carry the regulariser; a newcomer does from its second round on.
    v = item_columns(items.vectors, 5, bias)[block.items]
    count = one_more.raters[block.items]
    like_me = items.columns[CURVATURE][block.items, 0] + raters.now[owners(block)]
    pull = STEPS.reg_item / count * step_scale(count, like_me, STEPS, sums)
    own[:, :5] += pull[:, None] * v[:, :5]
    if bias:
        own[:, 5] += STEPS.reg_item_bias / count * bias_scale(STEPS) * v[:, 5]
    counts = np.bincount(block.items, minlength=len(items.vectors)).astype(float)
    after = moved(items, block, steps, bias, counts)
    added = np.zeros((len(counts), 5 + bias))
    np.add.at(added, block.items, own)
    expected = item_columns(items.vectors, 5, bias) + added / sums.weights(items.raters + counts)
    assert item_columns(after, 5, bias) == pytest.approx(expected, abs=1e-9)


def test_repeated_steps_arrive_at_the_best_items():
    vectors, items, block, raters = a_federation(3)
    for _ in range(2000):
        steps = item_steps(vectors, items, block, STEPS, raters, sums_of())
        items = dataclasses.replace(items, vectors=moved(items, block, steps, True))
    found, of = item_columns(items.vectors, 5, True), owners(block)
    penalty = np.diag([STEPS.reg_item] * 5 + [STEPS.reg_item_bias])
    for item in np.unique(block.items):
        at = np.flatnonzero(block.items == item)
        x = np.column_stack([vectors[of[at], :5], np.ones(len(at))])
        best = np.linalg.solve(x.T @ x + penalty, x.T @ (block.values[at] - vectors[of[at], 5]))
        assert found[item] == pytest.approx(best, abs=1e-8)


def test_a_long_vector_takes_shorter_steps():
    long = np.array([[10.0, 0.0, 0.3]])
    assert curvatures(long, 2) == LARGEST_CURVATURE
    block = RatingBlock(np.array([0, 1]), np.array([0]), np.array([4.0]))
    rows = np.array([[0.1, 0.0, 0.0, LARGEST_CURVATURE, 1.0]])
    items = read(rows, bias=True, factors=2)
    full = Raters(*np.array([[LARGEST_CURVATURE], [1.0], [LARGEST_CURVATURE]]))
    after = moved(items, block, item_steps(long, items, block, STEPS, full, sums_of(factors=2)), True)
    losses = [item_losses(long, side, block, True)[0] for side in (items.vectors, after)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_nothing_but_numbers_comes_out(bias, scale):
    """One rating a user, far fewer than factors; items and users at zero, or far out; nobody counted yet."""
    factors, learned = 20, 20 + bias
    block = RatingBlock(np.array([0, 1, 2]), np.array([0, 1]), np.array([5.0, -5.0]) * max(scale, 1))
    rows = np.zeros((3, learned + 2))
    rows[:, :learned] = scale * np.random.default_rng(0).normal(size=(3, learned))
    nobody = Raters(np.zeros(2), np.zeros(2), np.zeros(2))
    for counted in (False, True):
        items = read(rows, bias, factors, counted)
        vectors = refit(items, block, STEPS, bias)
        raters = nobody._replace(now=curvatures(vectors, factors))
        assert np.isfinite(vectors).all()
        assert np.isfinite(item_steps(vectors, items, block, STEPS, raters, sums_of(bias, factors))).all()
