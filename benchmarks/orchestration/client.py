"""What all tools share: the ratings, the initial values, and one user's round in NumPy alone.

This file is imported in environments that lack fedmf-ray. It implements the ``batch`` rule
(``fedmf_ray/learning/rules/gradient.py``): the user's errors under the matrix of the round, both gradients
from the old values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

LEARNING_RATE, REGULARISATION = 2e-4, 1e-4
"""Far from divergence at 6,040 users. Near divergence, training itself would amplify fedmf-ray's rounding."""


class Population(NamedTuple):
    """items, values: (users, ratings), a row per user. item_matrix, user_vectors: the initial values."""

    items: np.ndarray
    values: np.ndarray
    item_matrix: np.ndarray
    user_vectors: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> Population:
        """Memory-map the arrays, so that the processes of a tool share the pages."""
        return cls(*(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in cls._fields))

    def save(self, folder: Path) -> None:
        for name, array in self._asdict().items():
            np.save(folder / f"{name}.npy", array)


def step(
    vector: np.ndarray, item_matrix: np.ndarray, items: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The user's new vector, what it adds to its item rows, and its squared error before the step."""
    v = item_matrix[items]
    error = values - v @ vector
    moved = (1 - 2 * LEARNING_RATE * REGULARISATION) * vector + 2 * LEARNING_RATE * (error @ v)
    v *= -2 * LEARNING_RATE * REGULARISATION
    v += np.outer(error, 2 * LEARNING_RATE * vector)
    return moved, v, float(error @ error)


def report(round_number: int, seconds: float, squared_error: float) -> None:
    """Print one line for the comparison. squared_error: over all ratings, at the start of the round.

    A step needs these errors anyway, so no tool needs an extra pass for the check.
    """
    line = {"round": round_number, "seconds": seconds, "squared_error": float(squared_error)}
    print(json.dumps(line), flush=True)
