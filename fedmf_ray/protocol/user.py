"""The users: private ratings, a private vector, and the key that opens the item matrix."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.crypto.fixed_point import FixedPoint
from fedmf_ray.crypto.schemes import KeyHolder
from fedmf_ray.errors import DivergenceError
from fedmf_ray.factors import RULES, RatingBlock, Steps, initial_user
from fedmf_ray.metrics import ErrorSums, error_sums, errors
from fedmf_ray.protocol.messages import EncryptedItems, ItemBlocks, Upload
from fedmf_ray.ratings.table import UserRatings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """What all users of a run have agreed on.

    item_ids: (items,) int64, which item each row of the item matrix is.
    rule: a key of :data:`fedmf_ray.factors.RULES`.
    part_text_sparsity: the dial between full text (0) and part text (1).
    init, init_scale, seed: where user vectors start.
    """

    item_ids: NDArray[np.int64]
    rule: str
    steps: Steps
    grid: FixedPoint
    blocks: ItemBlocks
    part_text_sparsity: float
    init: str
    init_scale: float
    seed: int


class User:
    """One user. Its vector changes only in :func:`update`."""

    def __init__(self, ratings: UserRatings, terms: Terms) -> None:
        self.ratings = ratings
        self.vector = initial_user(
            terms.init, terms.init_scale, ratings.user_id, terms.blocks.factors, terms.seed
        )
        self.rows = _uploaded_rows(ratings, terms)
        """(k,) int64: the item rows it uploads every round, rated ones and decoys, increasing."""

    def upload(self, round_number: int, item_steps: Floats, key: KeyHolder, terms: Terms) -> Upload:
        """Encrypt minus its item steps ((ratings, factors), in the order of its ratings)."""
        layout = terms.blocks
        if layout.rows == 1:
            blocks = self.rows
            values = np.zeros((len(blocks), layout.factors))
            values[np.searchsorted(blocks, self.ratings.items)] = -item_steps
        else:
            dense = np.zeros((layout.items, layout.factors))
            dense[self.ratings.items] = -item_steps
            blocks = np.unique(self.rows // layout.rows)
            values = layout.join(dense)[blocks]
        return Upload(round_number, self.ratings.user_id, blocks, key.encrypt(values))

    def error_sums(self, item_matrix: Floats) -> ErrorSums:
        """Its errors under the given items, as sums."""
        mine = self.ratings
        return error_sums(
            errors(self.vector, item_matrix, mine.items, mine.values),
            errors(self.vector, item_matrix, mine.test_items, mine.test_values),
        )


def encrypt_items(item_matrix: Floats, key: KeyHolder, terms: Terms) -> EncryptedItems:
    """The matrix that opens round 0: one key-holder encrypts it, so the server never reads it."""
    if np.abs(item_matrix).max() > terms.grid.value_bound:
        raise DivergenceError(
            "the initial item matrix",
            f"is over protocol.value_bound {terms.grid.value_bound:g}: lower model.init_scale, or raise it",
        )
    return EncryptedItems(0, key.encrypt(terms.blocks.join(item_matrix)))


def read_items(message: EncryptedItems, key: KeyHolder, terms: Terms) -> Floats:
    """Decrypt the item matrix, (items, factors); beyond its bound training has diverged."""
    item_matrix = terms.blocks.cut(key.decrypt(message.ciphertexts))
    excess = np.abs(item_matrix) > terms.grid.value_bound
    if excess.any():
        row, _ = np.argwhere(excess)[0]
        raise DivergenceError(
            f"round {message.round}, item {terms.item_ids[row]}",
            f"a factor is over protocol.value_bound {terms.grid.value_bound:g}, training has diverged: lower "
            "model.learning_rate, or raise the bound",
        )
    return item_matrix


def update(users: Sequence[User], item_matrix: Floats, terms: Terms) -> list[Floats]:
    """Step 3 for a block of users: move their vectors, return each one's (ratings, factors) item steps.

    A user's result does not depend, by a single bit, on who else is in the block. Raises
    :class:`DivergenceError` if a step exceeds ``update_bound`` or a vector is no longer finite.
    """
    counts = [len(user.ratings.items) for user in users]
    block = RatingBlock(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([user.ratings.items for user in users]),
        np.concatenate([user.ratings.values for user in users]),
    )
    vectors = np.stack([user.vector for user in users])
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported below, with a name
        moved, item_steps = RULES[terms.rule](vectors, item_matrix, block, terms.steps)
        good = np.abs(item_steps).max(axis=1, initial=0.0) <= terms.grid.update_bound  # False for NaN
    if not good.all():
        at = int(np.argmin(good))
        owner = users[int(np.searchsorted(block.starts, at, side="right")) - 1].ratings.user_id
        raise DivergenceError(
            f"user {owner}, item {terms.item_ids[block.items[at]]}",
            f"a step is over protocol.update_bound {terms.grid.update_bound:g}, training diverges: lower "
            "model.learning_rate, or raise the bound",
        )
    for user, vector in zip(users, moved, strict=True):
        if not np.isfinite(vector).all():
            raise DivergenceError(
                f"user {user.ratings.user_id}", "its vector is no longer finite: lower model.learning_rate"
            )
        user.vector = vector
    return np.split(item_steps, block.starts[1:-1])


def uploaded_count(rated: int, items: int, part_text_sparsity: float) -> int:
    """max(|rated|, ceil((1 - s) * items)), with the product rounded so that 0.3 * 40 is 12."""
    return max(rated, math.ceil(round((1.0 - part_text_sparsity) * items, 9)))


def _uploaded_rows(ratings: UserRatings, terms: Terms) -> NDArray[np.int64]:
    items = terms.blocks.items
    rated = np.unique(ratings.items)
    decoys = uploaded_count(len(rated), items, terms.part_text_sparsity) - len(rated)
    others = np.setdiff1d(np.arange(items), rated, assume_unique=True)
    # Not from the scenario's seed: whoever knows that could tell decoys from rated rows. Results do not
    # depend on decoys, they carry zeros.
    random = np.random.default_rng(secrets.randbits(128))
    return np.sort(np.concatenate([rated, random.choice(others, size=decoys, replace=False)]))
