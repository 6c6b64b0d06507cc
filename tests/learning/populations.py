"""Users with random ratings for tests of the mathematics."""

import numpy as np

from fedmf_ray.learning.blocks import RatingBlock, Steps

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
    """The ratings of one user as a block."""
    return block.part(user, user + 1)


def owners(block):
    """(ratings,) whose each one is, by position."""
    return np.repeat(np.arange(len(block.starts) - 1), np.diff(block.starts))
