"""The ridge rule: the best vectors, steps that never overshoot, and nothing that is not a number."""

import dataclasses

import numpy as np
import pytest
from fedmf_ray.learning.factors import RatingBlock, Steps
from fedmf_ray.learning.ridge import (
    CURVATURE_BITS,
    LARGEST_CURVATURE,
    Raters,
    bias_scale,
    curvatures,
    item_steps,
    refit,
    row_layout,
    solve,
    step_scale,
)
from fedmf_ray.learning.rows import Items, RowLayout, user_side
from hypothesis import given
from hypothesis import strategies as st

from tests.learning.test_factors import alone, some_users

STEPS = Steps(1.0, reg_user=3.0, reg_item=2.0, reg_user_bias=0.7, reg_item_bias=0.5)
seeds = st.integers(0, 10_000)


def a_federation(seed, bias=True, factors=5, **shape):
    """Vectors, items with the true counts and curvatures of these users, and their ratings."""
    vectors, matrix, block = some_users(seed, factors=factors + bias, **shape)
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    part = curvatures(vectors, factors)
    curvature = np.bincount(block.items, part[owners], len(matrix))
    raters = np.bincount(block.items, minlength=len(matrix)).astype(float)
    layout = row_layout(factors, bias, STEPS)
    rows = np.column_stack([matrix * layout.weights(raters), curvature, raters])
    items = Items.read(rows, layout, 1, counted=True)
    return vectors, items, block, Raters(part[owners], np.ones_like(part), part)


def moved(items, block, steps, bias, newcomers=0.0):
    """(items, d or d + 2) as users read them after all these steps have been added; newcomers: (items,)."""
    layout = row_layout(items.vectors.shape[1] - 2 * bias, bias, STEPS)
    before = np.zeros(len(items.vectors)) if items.raters is None else items.raters
    values = np.delete(items.vectors, layout.factors, axis=1) if bias else items.vectors
    columns = values * layout.weights(before)
    np.subtract.at(columns, block.items, steps)
    after = columns / layout.weights(before + newcomers)
    return np.insert(after, layout.factors, 1.0, axis=1) if bias else after


def item_losses(vectors, items, block, bias, weights=STEPS):
    """(items,) what the items' own vectors and biases minimise, given the users."""
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    side = user_side(vectors, RowLayout(vectors.shape[1] - bias, bias))
    errors = block.values - np.sum(side[owners] * items[block.items], axis=1)
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
    found = user_side(refit(items, block, STEPS, bias), RowLayout(factors, bias))
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
    layout = row_layout(5, bias, STEPS)
    steps = item_steps(vectors, items, block, STEPS, raters, layout)
    for user in range(len(vectors)):
        mine, one = alone(block, user), slice(user, user + 1)
        assert np.array_equal(refit(items, mine, STEPS, bias)[0], together[user])
        begin, end = block.starts[user], block.starts[user + 1]
        its = Raters(raters.part[begin:end], raters.counted[one], raters.now[one])
        assert np.array_equal(
            item_steps(vectors[one], items, mine, STEPS, its, layout),
            steps[begin:end],
        )


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_the_sum_of_steps_never_overshoots(seed, bias, users):
    """Every item's loss falls, or stays where it is lowest, with all users' steps taken at once."""
    vectors, items, block, raters = a_federation(seed, bias, users=users)
    steps = item_steps(vectors, items, block, STEPS, raters, row_layout(5, bias, STEPS))
    after = moved(items, block, steps, bias)
    losses = [item_losses(vectors, side, block, bias) for side in (items.vectors, after)]
    assert (losses[1] <= losses[0] * (1 + 1e-12)).all()
    assert losses[1].sum() < losses[0].sum()


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_the_first_round_moves_items_to_the_mean_of_what_raters_would_do_alone(seed, bias, users):
    """Nobody knows how many they are when they upload; users divide when they read."""
    vectors, items, block, raters = a_federation(seed, bias, users=users, items=12)
    layout, counts = row_layout(5, bias, STEPS), np.bincount(block.items, minlength=12).astype(float)
    opening = Items(items.vectors, None, None, None)
    newcomers = Raters(0 * raters.part, 0 * raters.counted, raters.now)
    steps = item_steps(vectors, opening, block, STEPS, newcomers, layout)
    after = moved(opening, block, steps, bias, counts)
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    side = user_side(vectors, RowLayout(5, bias))[owners]
    error = block.values - np.sum(side * items.vectors[block.items], axis=1)
    for item in range(12):
        at = np.flatnonzero(block.items == item)
        own = raters.now[owners[at]] * 2**CURVATURE_BITS
        lengths = np.maximum(np.sum(vectors[owners[at], :5] ** 2, axis=1), 1e-12)
        short = 1.6 * np.minimum(1, LARGEST_CURVATURE / lengths) * error[at]
        votes = (short / (STEPS.reg_item * np.maximum(own, 1)))[:, None] * side[at, :5]
        expected = items.vectors[item, :5] + votes.sum(axis=0) / (1 + len(at) / layout.prior[0])
        assert after[item, :5] == pytest.approx(expected, abs=1e-9)
        if bias:
            bias_step = 1.6 * error[at].sum() / (4 * len(at) + STEPS.reg_item_bias)
            assert after[item, -1] == pytest.approx(items.vectors[item, -1] + bias_step, abs=1e-9)


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_first_steps_do_not_overshoot_among_users_who_are_alike(seed, bias, users):
    vectors, items, block, raters = a_federation(seed, bias, users=users)
    lengths = np.sqrt(np.maximum(curvatures(vectors, 5), 1e-9))
    vectors[:, :5] *= np.minimum(1.0, lengths.min() / lengths)[:, None]
    opening, alike = Items(items.vectors, None, None, None), curvatures(vectors, 5)
    newcomers = Raters(0 * raters.part, 0 * raters.counted, alike)
    steps = item_steps(vectors, opening, block, STEPS, newcomers, row_layout(5, bias, STEPS))
    counts = np.bincount(block.items, minlength=len(items.vectors)).astype(float)
    after = moved(opening, block, steps, bias, counts)
    # Nobody knows its share of the regulariser yet: only errors count.
    none = dataclasses.replace(STEPS, reg_item=0.0, reg_item_bias=0.0)
    losses = [item_losses(vectors, side, block, bias, none) for side in (items.vectors, after)]
    assert (losses[1] <= losses[0] * (1 + 1e-12)).all()


@given(seed=seeds, bias=st.booleans())
def test_who_comes_late_leaves_everything_where_it_is_but_for_its_step(seed, bias):
    """A newcomer raises n_j, by which users divide, and adds the share of the value that makes up for it."""
    vectors, items, block, raters = a_federation(seed, bias, users=6)
    layout, nobody = row_layout(5, bias, STEPS), np.zeros(6)
    late = Raters(0 * raters.part, nobody, raters.now)
    steps = item_steps(vectors, items, block, STEPS, late, layout)
    one_more = dataclasses.replace(items, raters=items.raters + 1)
    own = item_steps(vectors, one_more, block, STEPS, late._replace(counted=nobody + 1), layout)
    # Those who are in n_j carry the regulariser; a newcomer does from its second round on.
    v = np.delete(items.vectors, 5, axis=1)[block.items] if bias else items.vectors[block.items]
    count = one_more.raters[block.items]
    like_me = np.maximum(items.curvature[block.items] + raters.now.repeat(np.diff(block.starts)), 0)
    pull = STEPS.reg_item / count * step_scale(count, like_me, STEPS, layout)
    own[:, :5] -= pull[:, None] * v[:, :5]
    if bias:
        own[:, 5] -= STEPS.reg_item_bias / count * bias_scale(STEPS) * v[:, 5]
    counts = np.bincount(block.items, minlength=len(items.vectors)).astype(float)
    after = moved(items, block, steps, bias, counts)
    sums = np.zeros((len(counts), layout.learned))
    np.subtract.at(sums, block.items, own)
    values = np.delete(items.vectors, 5, axis=1) if bias else items.vectors
    expected = values + sums / layout.weights(items.raters + counts)
    found = np.delete(after, 5, axis=1) if bias else after
    assert found == pytest.approx(expected, abs=1e-9)


def test_repeated_steps_arrive_at_the_best_items():
    vectors, items, block, raters = a_federation(3)
    layout = row_layout(5, True, STEPS)
    for _ in range(2000):
        steps = item_steps(vectors, items, block, STEPS, raters, layout)
        items = dataclasses.replace(items, vectors=moved(items, block, steps, True))
    found = np.delete(items.vectors, 5, axis=1)
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    penalty = np.diag([STEPS.reg_item] * 5 + [STEPS.reg_item_bias])
    for item in np.unique(block.items):
        at = np.flatnonzero(block.items == item)
        x = np.column_stack([vectors[owners[at], :5], np.ones(len(at))])
        best = np.linalg.solve(x.T @ x + penalty, x.T @ (block.values[at] - vectors[owners[at], 5]))
        assert found[item] == pytest.approx(best, abs=1e-8)


def test_a_long_vector_takes_shorter_steps():
    long = np.array([[10.0, 0.0, 0.3]])
    assert curvatures(long, 2) == LARGEST_CURVATURE
    block = RatingBlock(np.array([0, 1]), np.array([0]), np.array([4.0]))
    rows = np.array([[0.1, 0.0, 0.0, LARGEST_CURVATURE, 1.0]])
    layout = row_layout(2, True, STEPS)
    items = Items.read(rows, layout, 1, counted=True)
    full = Raters(*np.array([[LARGEST_CURVATURE], [1.0], [LARGEST_CURVATURE]]))
    after = moved(items, block, item_steps(long, items, block, STEPS, full, layout), True)
    losses = [item_losses(long, side, block, True)[0] for side in (items.vectors, after)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_nothing_but_numbers_comes_out(bias, scale):
    """One rating a user, far fewer than factors; items and users at zero, or far out; nobody counted yet."""
    factors = 20
    layout = row_layout(factors, bias, STEPS)
    block = RatingBlock(np.array([0, 1, 2]), np.array([0, 1]), np.array([5.0, -5.0]) * max(scale, 1))
    rows = np.zeros((3, layout.width))
    rows[:, : layout.learned] = scale * np.random.default_rng(0).normal(size=(3, layout.learned))
    nobody = Raters(np.zeros(2), np.zeros(2), np.zeros(2))
    for counted in (False, True):
        items = Items.read(rows, layout, 1, counted)
        vectors = refit(items, block, STEPS, bias)
        raters = nobody._replace(now=curvatures(vectors, factors))
        assert np.isfinite(vectors).all()
        assert np.isfinite(item_steps(vectors, items, block, STEPS, raters, layout)).all()
