"""EASE and iALS against their definitions, written down once more with dense matrices."""

import itertools

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.likings import likings, user_means
from fedmf_ray.learning.list_baselines import Ease, Ials, ease, ials
from tests.learning.populations import owners, some_users


def population(seed, users=6, items=12):
    """Ratings less a mean of 3, likings, and both as a dense matrix."""
    _, _, block = some_users(seed)
    liked = np.random.default_rng(seed).choice([0.0, 1 / 3, 2 / 3, 1.0], len(block.items))
    matrix = np.zeros((len(block.starts) - 1, items))
    matrix[owners(block), block.items] = liked
    return block, liked, matrix


@pytest.mark.parametrize("items", [12, 5], ids=["fewer users", "fewer items"])
def test_ease_gives_each_item_weights_that_leave_itself_out(items):
    block, liked, matrix = population(1)
    if items < 12:
        kept = block.items < items
        counts = np.add.reduceat(kept, block.starts[:-1])
        block = block._replace(
            starts=np.concatenate([[0], np.cumsum(counts)]),
            items=block.items[kept],
            values=block.values[kept],
        )
        liked, matrix = liked[kept], matrix[:, :items]
    found = ease(block, liked, items, Ease(reg=3.0)).scores
    for item in range(items):
        others = [other for other in range(items) if other != item]
        x = matrix[:, others]
        weights = np.linalg.solve(x.T @ x + 3.0 * np.eye(items - 1), x.T @ matrix[:, item])
        assert found[:, item] == pytest.approx(x @ weights, abs=1e-9)


def loss(users, items, matrix, settings):
    """Hu, Koren and Volinsky, equation 3."""
    weights = 1 + settings.alpha * matrix
    error = (matrix > 0) - users @ items.T
    return np.sum(weights * error**2) + settings.reg * (np.sum(users**2) + np.sum(items**2))


def test_ials_goes_down_to_where_the_loss_is_flat():
    block, liked, matrix = population(2)
    settings, random = Ials(alpha=5.0, reg=0.5), np.random.default_rng(0)
    start = random.normal(0, 0.1, (len(matrix), 3)), random.normal(0, 0.1, (12, 3))
    epochs = list(itertools.islice(ials(*start, block, liked, settings), 400))
    assert epochs[-1].item_change < 1e-6 < epochs[0].item_change
    # Scores do not tell vectors apart: the best ones for them are those of the singular values.
    left, sizes, right = np.linalg.svd(epochs[-1].scores, full_matrices=False)
    users, items = left[:, :3] * np.sqrt(sizes[:3]), right[:3].T * np.sqrt(sizes[:3])
    best = loss(users, items, matrix, settings)
    for _ in range(30):
        step = random.normal(0, 1e-3, users.shape), random.normal(0, 1e-3, items.shape)
        assert loss(users + step[0], items + step[1], matrix, settings) > best - 1e-6


def test_likings_begin_a_third_up_the_scale():
    stars = np.array([0.5, 2.0, 3.0, 3.5, 5.0])
    assert likings(stars - 3.3, 3.3, (0.5, 5.0)) == pytest.approx([0, 0, 1 / 3, 1 / 2, 1])
    assert likings(np.array([1.0, 40.0, 70.0, 100.0]), 0.0, (10.0, 100.0)) == pytest.approx([0, 0, 0.5, 1])


def test_the_mean_of_nothing_is_zero():
    block, _, _ = population(3)
    means = user_means(block)
    for user in range(len(means)):
        mine = block.part(user, user + 1).values
        assert means[user] == pytest.approx(mine.mean() if len(mine) else 0.0)


@pytest.mark.parametrize("settings", [Ease(), Ials()], ids=["ease", "ials"])
def test_where_nobody_likes_anything_there_is_nothing_to_learn(settings):
    block, _, _ = population(4)
    start = np.ones((6, 2)), np.ones((12, 2))
    liked = likings(block.values, 0.0, (5.0, 5.0))
    assert not liked.any()
    with pytest.raises(
        FedMFError, match=rf"model.{settings.name}: no training rating .*rated_is_liked to true"
    ):
        ease(block, liked, 12, settings) if settings.name == "ease" else next(
            ials(*start, block, liked, settings)
        )
