"""The ridge rule: the best vectors, steps that never overshoot, and nothing that is not a number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray.factors import RatingBlock, Steps
from fedmf_ray.ridge import LARGEST_CURVATURE, Raters, curvatures, item_steps, refit, solve
from fedmf_ray.rows import Items, RowLayout, user_side
from tests.test_factors import alone, some_users

STEPS = Steps(1.0, reg_user=3.0, reg_item=2.0, reg_user_bias=0.7, reg_item_bias=0.5)
seeds = st.integers(0, 10_000)


def a_federation(seed, bias=True, factors=5, **shape):
    """Vectors, items with the true counts and curvatures of these users, and their ratings."""
    vectors, matrix, block = some_users(seed, factors=factors + bias, **shape)
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    part = curvatures(vectors, factors)
    curvature = np.bincount(block.items, part[owners], len(matrix))
    raters = np.bincount(block.items, minlength=len(matrix)).astype(float)
    layout = RowLayout(factors, bias, curvature=True, raters=True)
    rows = np.column_stack([matrix, curvature, raters])
    items = Items.read(rows, layout, 1, counted=True)
    return vectors, items, block, Raters(part[owners], np.ones_like(part), part)


def item_losses(vectors, items, block, bias):
    """(items,) what the items' own vectors and biases minimise, given the users."""
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    side = user_side(vectors, RowLayout(vectors.shape[1] - bias, bias))
    errors = block.values - np.sum(side[owners] * items[block.items], axis=1)
    losses = np.bincount(block.items, errors**2, len(items))
    factors = items[:, : vectors.shape[1] - bias]
    losses += STEPS.reg_item * np.sum(factors**2, axis=1)
    return losses + (STEPS.reg_item_bias * items[:, -1] ** 2 if bias else 0)


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
    steps = item_steps(vectors, items, block, STEPS, raters, bias)
    for user in range(len(vectors)):
        mine, one = alone(block, user), slice(user, user + 1)
        assert np.array_equal(refit(items, mine, STEPS, bias)[0], together[user])
        begin, end = block.starts[user], block.starts[user + 1]
        its = Raters(raters.part[begin:end], raters.counted[one], raters.now[one])
        assert np.array_equal(
            item_steps(vectors[one], items, mine, STEPS, its, bias),
            steps[begin:end],
        )


@given(seed=seeds, bias=st.booleans(), users=st.integers(1, 30))
def test_the_sum_of_steps_never_overshoots(seed, bias, users):
    """Every item's loss falls, or stays where it is lowest, with all users' steps taken at once."""
    vectors, items, block, raters = a_federation(seed, bias, users=users)
    steps = item_steps(vectors, items, block, STEPS, raters, bias)
    moved = items.vectors.copy()
    columns = np.delete(np.arange(moved.shape[1]), moved.shape[1] - 2) if bias else np.arange(moved.shape[1])
    for at, item in enumerate(block.items):
        moved[item, columns] -= steps[at]
    before, after = (item_losses(vectors, side, block, bias) for side in (items.vectors, moved))
    assert (after <= before * (1 + 1e-12)).all()
    assert after.sum() < before.sum()


def test_repeated_steps_arrive_at_the_best_items():
    vectors, items, block, raters = a_federation(3)
    layout = RowLayout(5, True, True, True)
    rows = np.column_stack([np.delete(items.vectors, 5, axis=1), items.curvature, items.raters])
    for _ in range(2000):
        items = Items.read(rows, layout, 1, counted=True)
        np.subtract.at(rows[:, :6], block.items, item_steps(vectors, items, block, STEPS, raters, bias=True))
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    penalty = np.diag([STEPS.reg_item] * 5 + [STEPS.reg_item_bias])
    for item in np.unique(block.items):
        at = np.flatnonzero(block.items == item)
        x = np.column_stack([vectors[owners[at], :5], np.ones(len(at))])
        best = np.linalg.solve(x.T @ x + penalty, x.T @ (block.values[at] - vectors[owners[at], 5]))
        assert rows[item, :6] == pytest.approx(best, abs=1e-8)


def test_a_long_vector_takes_shorter_steps():
    long = np.array([[10.0, 0.0, 0.3]])
    assert curvatures(long, 2) == LARGEST_CURVATURE
    block = RatingBlock(np.array([0, 1]), np.array([0]), np.array([4.0]))
    rows = np.array([[0.1, 0.0, 0.0, LARGEST_CURVATURE, 1.0]])
    items = Items.read(rows, RowLayout(2, True, True, True), 1, counted=True)
    full = Raters(*np.array([[LARGEST_CURVATURE], [1.0], [LARGEST_CURVATURE]]))
    moved = items.vectors - [[*item_steps(long, items, block, STEPS, full, True)[0, :2], 0, 0]]
    losses = [item_losses(long, side, block, True)[0] for side in (items.vectors, moved)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_nothing_but_numbers_comes_out(bias, scale):
    """One rating a user, far fewer than factors; items and users at zero, or far out; nobody counted yet."""
    factors = 20
    layout = RowLayout(factors, bias, True, True)
    block = RatingBlock(np.array([0, 1, 2]), np.array([0, 1]), np.array([5.0, -5.0]) * max(scale, 1))
    rows = np.zeros((3, layout.width))
    rows[:, : layout.learned] = scale * np.random.default_rng(0).normal(size=(3, layout.learned))
    nobody = Raters(np.zeros(2), np.zeros(2), np.zeros(2))
    for counted in (False, True):
        items = Items.read(rows, layout, 1, counted)
        vectors = refit(items, block, STEPS, bias)
        raters = nobody._replace(now=curvatures(vectors, factors))
        assert np.isfinite(vectors).all()
        assert np.isfinite(item_steps(vectors, items, block, STEPS, raters, bias)).all()
