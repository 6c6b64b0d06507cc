"""The users of the comparison, generated once so that all tools have the same."""

from __future__ import annotations

import numpy as np
from client import Population

ITEMS, FACTORS, RATINGS = 1682, 100, 100
SEED, INIT_SCALE = 1, 0.1
CPUS = 2
"""For every tool that uses several processes."""


def make(users: int) -> Population:
    """Each user rates 100 different items, drawn uniformly; initial values as in fedmf-ray, for this seed."""
    from fedmf_ray.learning.start import initial_items, initial_user  # tools of other environments lack it

    random = np.random.default_rng(SEED)
    # Items are dealt from shuffled decks, so that no user has an item twice and no item is left out.
    hands = ITEMS // RATINGS
    decks = random.permuted(np.tile(np.arange(ITEMS), (-(-users // hands), 1)), axis=1)
    items = decks[:, : hands * RATINGS].reshape(-1, RATINGS)[:users]
    unique, first_seen, counts = np.unique(items, return_index=True, return_counts=True)
    if len(unique) < ITEMS:
        raise ValueError(f"{users} users leave {ITEMS - len(unique)} items unrated: take more users")
    # fedmf-ray's item matrix has the most-rated items first. With these numbers an item's number is its row.
    rows = np.empty(ITEMS, np.int64)
    rows[np.lexsort((first_seen, -counts))] = np.arange(ITEMS)
    return Population(
        rows[items],
        random.integers(1, 11, items.shape) / 2,
        initial_items("normal", INIT_SCALE, ITEMS, FACTORS, SEED),
        np.array([initial_user("normal", INIT_SCALE, user, FACTORS, SEED) for user in range(1, users + 1)]),
    )
