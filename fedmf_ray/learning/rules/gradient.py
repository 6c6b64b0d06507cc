"""Rules that follow gradients: a step for each user's vector, and one for each item that it rated.

Base class and two rules: rating after rating as the authors' code does, and all at once as the paper's
equations.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import RatingBlock, Steps, inner
from fedmf_ray.learning.items import Items, item_columns, user_side
from fedmf_ray.learning.rules.base import Learned, Memory, Rule, Setting

Floats = NDArray[np.float64]


class GradientRule(Rule):
    """Users move from where their vectors were when the round opened, and each rating moves its item's
    row."""

    reads_rated: ClassVar[bool] = True

    @abstractmethod
    def step(
        self, user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
    ) -> tuple[Floats, Floats]:
        """(users, factors), (items, factors), block, steps -> new (users, factors), (ratings, factors) steps
        that are added to the items' rows: minus learning_rate times the gradient.

        With biases both sides have two more columns (:func:`sides`), of which the ones stay.
        """

    def learn(
        self, vectors: Floats, items: Items, block: RatingBlock, memory: Memory, setting: Setting
    ) -> Learned:
        bias = setting.biases
        moved, steps = self.step(user_side(vectors, bias), items.vectors, block, setting.steps, bias)
        return Learned(moved[:, : setting.predictors], item_columns(steps, setting.factors, bias))


@dataclass(frozen=True)
class Sequential(GradientRule):
    """Rating after rating in timestamp order, as the authors' code does.

    The user vector moves at each rating; the item's step uses the vector that has just moved. The item
    matrix is that of the round throughout. Vectorised over users: step k handles everybody's k-th rating.
    """

    name: ClassVar[str] = "sequential"

    def step(
        self, user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
    ) -> tuple[Floats, Floats]:
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
            item_steps[at] = side.item_rate * (2 * error * u - side.item_pull * v)
        moved = np.empty_like(vectors)
        moved[order] = vectors
        return moved, item_steps


@dataclass(frozen=True)
class Batch(GradientRule):
    """All ratings at once, both gradients from the old vectors (equations 2 to 4 of the paper).

    A user's ratings are one array operation, small enough for the cache; gathering the whole block at
    once would only move more memory.
    """

    name: ClassVar[str] = "batch"

    def step(
        self, user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
    ) -> tuple[Floats, Floats]:
        side = sides(steps, user_vectors.shape[1], bias)
        rates, pulls = (side.user_rate, side.item_rate), (side.user_pull, side.item_pull)
        done = compiled.batch(user_vectors, item_matrix, block, rates, pulls)
        if done is not None:
            return done
        moved = np.empty_like(user_vectors)
        item_steps = np.empty((len(block.items), user_vectors.shape[1]))
        starts = block.starts.tolist()
        for k, u in enumerate(user_vectors):
            mine = slice(starts[k], starts[k + 1])
            v = item_matrix.take(block.items[mine], axis=0)
            error = -2 * (block.values[mine] - inner(u, v))[:, None]
            gradient = np.add.reduce(error * v, axis=0) + side.user_pull * u
            moved[k] = u - side.user_rate * gradient
            # -rate * (error * u + 2 * reg_item * v), in place: new arrays would take half of the time.
            step = np.multiply(error, u, out=item_steps[mine])
            v *= side.item_pull
            step += v
            step *= -side.item_rate
        return moved, item_steps


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
