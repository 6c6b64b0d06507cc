"""The central baselines: gradient descent, biases alone, and what most people rated."""

import itertools

import numpy as np
import pytest
from fedmf_ray.learning.factors import RatingBlock, Steps, inner

from fedmf_ray.learning.baselines import biases, overall_mean, popularity, regular_mf
from tests.learning.test_factors import STEPS, some_users


def test_regular_mf_moves_both_vectors_at_each_rating():
    block = RatingBlock(np.array([0, 2]), np.array([0, 0]), np.array([4.0, 3.0]))
    u, v = np.array([[0.5, 1.0]]), np.array([[1.0, 0.25]])
    epoch = next(regular_mf(u, v, block, STEPS))
    user, item = u[0].copy(), v[0].copy()
    for rating in (4.0, 3.0):
        error = rating - user @ item
        user = user - 1e-3 * (-2 * error * item + 2 * STEPS.reg_user * user)
        item = item - 1e-3 * (-2 * error * user + 2 * STEPS.reg_item * item)
    assert epoch.user_vectors[0] == pytest.approx(user, rel=1e-14)
    assert epoch.item_matrix[0] == pytest.approx(item, rel=1e-14)
    assert epoch.user_change == pytest.approx(np.mean(np.abs(user - u[0])))


def test_regular_mf_settles():
    vectors, items, block = some_users(7)
    epochs = list(itertools.islice(regular_mf(vectors * 0.1, items * 0.1, block, Steps(0.02, 0.1, 0.1)), 600))
    assert epochs[-1].item_change < 1e-4 < epochs[0].item_change


def test_regular_mf_learns_biases_beside_vectors():
    steps = Steps(0.02, 0.1, 0.1, reg_user_bias=0.1, reg_item_bias=0.1)
    _, _, block = some_users(3, factors=4)
    sides = np.zeros((6, 6)), np.zeros((12, 6))
    sides[0][:, 5], sides[1][:, 4] = 1.0, 1.0  # u, b_i, 1 and v, 1, b_j: zero vectors never move
    (epoch,) = itertools.islice(regular_mf(*sides, block, steps, bias=True), 800, 801)
    (best,) = itertools.islice(biases(block, 12, Steps(1, 0, 0, 0.1, 0.1)), 200, 201)
    assert (epoch.user_vectors[:, :4] == 0).all()
    assert (epoch.user_vectors[:, 5] == 1).all()
    owners = np.repeat(np.arange(6), np.diff(block.starts))
    found = inner(epoch.user_vectors[owners], epoch.item_matrix[block.items])
    assert np.mean((block.values - found) ** 2) < 1.2 * np.mean(
        (block.values - inner(best.user_vectors[owners], best.item_matrix[block.items])) ** 2
    )


def test_biases_settle_where_the_loss_is_flat():
    _, _, block = some_users(5)
    steps = Steps(1, 0, 0, reg_user_bias=0.7, reg_item_bias=0.3)
    (epoch,) = itertools.islice(biases(block, 12, steps), 300, 301)
    owners = np.repeat(np.arange(6), np.diff(block.starts))
    of_user, of_item = epoch.user_vectors[:, 0], epoch.item_matrix[:, 1]
    errors = block.values - inner(epoch.user_vectors[owners], epoch.item_matrix[block.items])
    assert np.bincount(owners, errors, 6) == pytest.approx(0.7 * of_user, abs=1e-9)
    assert np.bincount(block.items, errors, 12) == pytest.approx(0.3 * of_item, abs=1e-9)
    assert epoch.user_change < 1e-12


def test_biases_of_an_item_nobody_rated_and_without_a_ridge():
    block = RatingBlock(np.array([0, 2]), np.array([0, 1]), np.array([1.0, 3.0]))
    epoch = next(biases(block, 3, Steps(1, 0, 0)))
    assert epoch.item_matrix[:, 1].tolist() == [1.0, 3.0, 0.0]
    assert np.isfinite(epoch.user_vectors).all()


def test_popularity_counts_and_predicts_the_mean():
    block = RatingBlock(np.array([0, 2, 3]), np.array([0, 2, 2]), np.array([1.0, 3.0, 5.0]))
    assert popularity(block, 4).tolist() == [1, 0, 2, 0]
    epoch = overall_mean(block, 4)
    assert (epoch.user_vectors @ epoch.item_matrix.T == 3.0).all()
