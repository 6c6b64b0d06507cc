"""Update rules: the mathematics against finite differences, and the bits against the company kept."""

import numpy as np
import pytest
from fedmf_ray.learning.factors import RULES, RatingBlock, Steps, initial_items, initial_user, inner
from hypothesis import given
from hypothesis import strategies as st

STEPS = Steps(learning_rate=1e-3, reg_user=0.05, reg_item=0.02)


def some_users(seed, users=6, items=12, factors=7, most=9):
    """Vectors, item matrix and ratings of users with 1 to ``most`` ratings each."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most, users, endpoint=True)
    rated = [rng.choice(items, count, replace=False) for count in counts]
    block = RatingBlock(
        np.concatenate([[0], np.cumsum(counts)]), np.concatenate(rated), rng.integers(1, 11, counts.sum()) / 2
    )
    return rng.normal(size=(users, factors)), rng.normal(size=(items, factors)), block


def alone(block, user):
    mine = slice(block.starts[user], block.starts[user + 1])
    return RatingBlock(np.array([0, mine.stop - mine.start]), block.items[mine], block.values[mine])


@pytest.mark.parametrize("rule", RULES)
class TestEveryRule:
    @given(seed=st.integers(0, 10_000), factors=st.sampled_from([1, 2, 7, 100, 129]))
    def test_a_user_gets_the_same_bits_in_any_company(self, rule, seed, factors):
        vectors, items, block = some_users(seed, factors=factors)
        together, steps_together = RULES[rule](vectors, items, block, STEPS)
        for user in range(len(vectors)):
            mine = alone(block, user)
            moved, steps = RULES[rule](vectors[user : user + 1], items, mine, STEPS)
            assert np.array_equal(moved[0], together[user])
            assert np.array_equal(steps, steps_together[block.starts[user] : block.starts[user + 1]])

    def test_inputs_are_left_alone(self, rule):
        vectors, items, block = some_users(1)
        copies = vectors.copy(), items.copy()
        RULES[rule](vectors, items, block, STEPS)
        assert np.array_equal(vectors, copies[0])
        assert np.array_equal(items, copies[1])

    def test_steps_lower_the_loss(self, rule):
        vectors, items, block = some_users(2)

        def loss(u, v):
            owners = np.repeat(np.arange(len(u)), np.diff(block.starts))
            return np.mean((block.values - inner(u[owners], v[block.items])) ** 2)

        moved, steps = RULES[rule](vectors, items, block, STEPS)
        new_items = items.copy()
        np.subtract.at(new_items, block.items, steps)
        assert loss(moved, new_items) < loss(vectors, items)


def test_batch_is_the_gradient_of_the_regularised_loss():
    vectors, items, block = some_users(3, users=1)
    u0, rate = vectors[0], STEPS.learning_rate

    def loss(u, v):
        errors = block.values - v[block.items] @ u
        rated = np.unique(block.items)
        return errors @ errors + STEPS.reg_user * u @ u + STEPS.reg_item * np.sum(v[rated] ** 2)

    def slope(function, x):
        steps = np.eye(x.size).reshape(x.size, *x.shape) * 1e-6
        return np.array([(function(x + h) - function(x - h)) / 2e-6 for h in steps]).reshape(x.shape)

    moved, item_steps = RULES["batch"](vectors, items, block, STEPS)
    assert moved[0] == pytest.approx(u0 - rate * slope(lambda u: loss(u, items), u0), abs=1e-9)
    expected = rate * slope(lambda v: loss(u0, v), items)[block.items]
    assert item_steps == pytest.approx(expected, abs=1e-9)


def test_sequential_follows_the_authors_order_of_operations():
    vectors, items, block = some_users(4, users=1, most=3)
    u, rate, expected = vectors[0], STEPS.learning_rate, []
    for j, rating in zip(block.items, block.values, strict=True):
        error = rating - np.dot(u, items[j])
        u = u - rate * (-2 * error * items[j] + 2 * STEPS.reg_user * u)
        expected.append(rate * (-2 * error * u + 2 * STEPS.reg_item * items[j]))
    moved, item_steps = RULES["sequential"](vectors, items, block, STEPS)
    assert moved[0] == pytest.approx(u, rel=1e-12)
    assert item_steps == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_biases_follow_the_gradient_and_the_ones_stay(rule):
    """With one rating a user both rules take the step of the loss with biases, but for the moved user."""
    steps = Steps(1e-3, 0.05, 0.02, reg_user_bias=0.4, reg_item_bias=0.3)
    vectors, items, block = some_users(7, factors=5, most=1)
    vectors[:, 4], items[:, 3] = 1.0, 1.0  # u, b_i, 1 and v, 1, b_j
    moved, item_steps = RULES[rule](vectors, items, block, steps, bias=True)
    assert (moved[:, 4] == 1).all()
    assert (item_steps[:, 3] == 0).all()
    for user, (item, rating) in enumerate(zip(block.items, block.values, strict=True)):
        error = rating - vectors[user] @ items[item]
        assert moved[user, 3] == pytest.approx(vectors[user, 3] + 2e-3 * (error - 0.4 * vectors[user, 3]))
        seen = moved[user] if rule == "sequential" else vectors[user]
        expected = -2e-3 * (error * seen[:3] - 0.02 * items[item, :3])
        assert item_steps[user, :3] == pytest.approx(expected)
        assert item_steps[user, 4] == pytest.approx(-2e-3 * (error - 0.3 * items[item, 4]))


def test_with_one_rating_the_user_moves_alike_under_both_rules():
    vectors, items, block = some_users(5, most=1)
    assert RULES["sequential"](vectors, items, block, STEPS)[0] == pytest.approx(
        RULES["batch"](vectors, items, block, STEPS)[0], rel=1e-13
    )


def test_normal_start_depends_on_seed_and_user_only():
    first = initial_user("normal", 0.1, user_id=7, factors=50, seed=3)
    assert np.array_equal(first, initial_user("normal", 0.1, 7, 50, 3))
    others = [initial_user("normal", 0.1, 8, 50, 3), initial_user("normal", 0.1, 7, 50, 4)]
    assert all(not np.array_equal(first, other) for other in others)
    assert np.std(initial_items("normal", 0.1, 200, 50, 3)) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_start_stays_rank_one(rule):
    _, _, block = some_users(6, factors=5)
    vectors = np.stack([initial_user("constant", 0.01, i, 5, 0) for i in range(6)])
    items = initial_items("constant", 0.01, 12, 5, 0)
    for _ in range(20):
        vectors, steps = RULES[rule](vectors, items, block, STEPS)
        np.subtract.at(items, block.items, steps)
    assert np.ptp(vectors, axis=1).max() == 0
    assert np.ptp(items, axis=1).max() < 1e-15
