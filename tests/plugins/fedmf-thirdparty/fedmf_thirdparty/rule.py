"""Gradient descent on the Huber loss: errors beyond ``delta`` pull no harder than those at it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedmf_ray.learning.blocks import inner
from fedmf_ray.learning.rules import GradientRule
from fedmf_ray.learning.rules.gradient import sides


@dataclass(frozen=True)
class Huber(GradientRule):
    name: ClassVar[str] = "huber"

    delta: float = 1.0

    def step(self, user_vectors, item_matrix, block, steps, bias=False):
        side = sides(steps, user_vectors.shape[1], bias)
        owners = np.repeat(np.arange(len(user_vectors)), np.diff(block.starts))
        u, v = user_vectors[owners], item_matrix[block.items]
        error = np.clip(block.values - inner(u, v), -self.delta, self.delta)[:, None]
        pull = np.zeros_like(user_vectors)
        np.add.at(pull, owners, 2 * error * v)  # in the order of a user's own ratings
        moved = user_vectors + side.user_rate * (pull - side.user_pull * user_vectors)
        return moved, side.item_rate * (2 * error * u - side.item_pull * v)
