"""The mathematics of matrix factorisation: update rules, initial values, the central baseline.

The model is r_ij = <u_i, v_j>, with biases mean + b_i + b_j + <u_i, v_j>. A user minimises sum_j (r_ij -
<u_i, v_j>)**2 with weights reg_user and reg_item on |u_i|**2 and |v_j|**2 (Chai et al., section 3.1,
equations 1 to 4). An *update rule* takes the vectors of a block of users, the item matrix of the round and
the users' ratings, and returns the new user vectors and, for each rating, learning_rate times the gradient
for its item.

Bits: inner products are an elementwise product and ``np.add.reduce`` over the last, contiguous axis.
Unlike a BLAS product this gives a row the same bits whatever the other rows are and on whatever CPU, so
it does not matter which users share a block. Keep it that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """Step size and regularisation: gamma, lambda and mu of the paper; the same for biases; the mean."""

    learning_rate: float
    reg_user: float
    reg_item: float
    reg_user_bias: float = 0.0
    reg_item_bias: float = 0.0
    mean: float = 0.0


class RatingBlock(NamedTuple):
    """The training ratings of a block of users, one user after the other, each in timestamp order.

    starts: (users + 1,) int64, user k owns ratings starts[k] to starts[k + 1].
    items: (ratings,) int64 rows of the item matrix.
    values: (ratings,) float64.
    """

    starts: Integers
    items: Integers
    values: Floats

    @classmethod
    def of(cls, users: Sequence[tuple[Integers, Floats]]) -> RatingBlock:
        """From each user's items and values."""
        starts = np.concatenate([[0], np.cumsum([len(items) for items, _ in users])]).astype(np.int64)
        items = np.concatenate([items for items, _ in users]).astype(np.int64)
        return cls(starts, items, np.concatenate([values for _, values in users]))

    def part(self, first: int, stop: int) -> RatingBlock:
        """Those of users first to stop."""
        begin, end = self.starts[first], self.starts[stop]
        return RatingBlock(
            self.starts[first : stop + 1] - begin, self.items[begin:end], self.values[begin:end]
        )


class Rule(Protocol):
    """(users, factors), (items, factors), block, steps -> new (users, factors), item steps (ratings,
    factors).

    Item steps are learning_rate times the gradient: the item matrix moves by their negative. With biases
    both sides have two more columns (:mod:`fedmf_ray.learning.rows`), of which the ones stay.
    """

    def __call__(
        self, user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
    ) -> tuple[Floats, Floats]: ...


def inner(left: Floats, right: Floats) -> Floats:
    """Row by row inner products, (..., factors) to (...); the same bits for a row in any company."""
    products: Floats = np.add.reduce(left * right, axis=-1)
    return products


def sequential(
    user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
) -> tuple[Floats, Floats]:
    """Rating after rating in timestamp order, as the authors' code does.

    The user vector moves at each rating; the item's step uses the vector that has just moved. The item
    matrix is that of the round throughout. Vectorised over users: step k handles everybody's k-th rating.
    """
    side = sides(steps, user_vectors.shape[1], bias)
    counts = np.diff(block.starts)
    order = np.argsort(-counts, kind="stable")  # those with a k-th rating are then a prefix
    starts, sorted_counts = block.starts[:-1][order], counts[order]
    vectors = user_vectors[order]
    item_steps = np.empty((len(block.items), user_vectors.shape[1]))
    for k in range(int(sorted_counts[0]) if len(order) else 0):
        active = int(np.searchsorted(-sorted_counts, -k))
        at = starts[:active] + k
        v, u = item_matrix[block.items[at]], vectors[:active]
        error = (block.values[at] - inner(u, v))[:, None]
        u = u - side.user_rate * (-2 * error * v + side.user_pull * u)
        vectors[:active] = u
        item_steps[at] = side.item_rate * (-2 * error * u + side.item_pull * v)
    moved = np.empty_like(vectors)
    moved[order] = vectors
    return moved, item_steps


def batch(
    user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
) -> tuple[Floats, Floats]:
    """All ratings at once, both gradients from the old vectors (equations 2 to 4 of the paper).

    A user's ratings are one array operation, small enough for the cache; gathering the whole block at
    once would only move more memory.
    """
    side = sides(steps, user_vectors.shape[1], bias)
    moved = np.empty_like(user_vectors)
    item_steps = np.empty((len(block.items), user_vectors.shape[1]))
    starts = block.starts.tolist()
    for k, u in enumerate(user_vectors):
        mine = slice(starts[k], starts[k + 1])
        v = item_matrix.take(block.items[mine], axis=0)
        error = -2 * (block.values[mine] - inner(u, v))[:, None]
        gradient = np.add.reduce(error * v, axis=0) + side.user_pull * u
        moved[k] = u - side.user_rate * gradient
        # rate * (error * u + 2 * reg_item * v), in place: new arrays would take half of the time.
        step = np.multiply(error, u, out=item_steps[mine])
        v *= side.item_pull
        step += v
        step *= side.item_rate
    return moved, item_steps


RULES: dict[str, Rule] = {"sequential": sequential, "batch": batch}
"""The rules that follow gradients; :mod:`fedmf_ray.learning.ridge` is another kind."""


class Sides(NamedTuple):
    """Rates and twice the regularisation, of users and items: numbers, or one for each coordinate."""

    user_rate: float | Floats
    user_pull: float | Floats
    item_rate: float | Floats
    item_pull: float | Floats


def sides(steps: Steps, width: int, bias: bool) -> Sides:
    """With biases a user is (u, b_i, 1) and an item (v, 1, b_j): the ones do not move."""
    rate, user_pull, item_pull = steps.learning_rate, 2 * steps.reg_user, 2 * steps.reg_item
    if not bias:
        return Sides(rate, user_pull, rate, item_pull)
    user_bias, item_bias = width - 2, width - 1
    rates, pulls = np.full((2, width), rate), np.empty((2, width))
    rates[0, item_bias] = rates[1, user_bias] = 0.0
    pulls[0], pulls[1] = user_pull, item_pull
    pulls[0, user_bias], pulls[1, item_bias] = 2 * steps.reg_user_bias, 2 * steps.reg_item_bias
    return Sides(rates[0], pulls[0], rates[1], pulls[1])


# --- initial values --------------------------------------------------------------------------------

_ITEM_STREAM, _USER_STREAM = 0, 1


def initial_items(kind: str, scale: float, items: int, factors: int, seed: int) -> Floats:
    """(items, factors): ``constant`` fills with scale, ``normal`` draws N(0, scale**2) from the seed.

    A constant start keeps all coordinates of every vector equal for ever, because each coordinate then
    follows the same equation: the model is rank one whatever ``factors`` says. The authors' code starts
    so (0.01); use it to reproduce them and ``normal`` otherwise.
    """
    return _initial(kind, scale, (items, factors), np.random.SeedSequence(seed, spawn_key=(_ITEM_STREAM,)))


def initial_user(kind: str, scale: float, user_id: int, factors: int, seed: int) -> Floats:
    """(factors,): as :func:`initial_items`, drawn from (seed, user id) alone."""
    stream = np.random.SeedSequence(seed, spawn_key=(_USER_STREAM, user_id))
    return _initial(kind, scale, (factors,), stream)


def _initial(kind: str, scale: float, shape: tuple[int, ...], stream: np.random.SeedSequence) -> Floats:
    if kind == "constant":
        return np.full(shape, scale)
    return np.random.default_rng(stream).normal(0.0, scale, shape)
