"""Where vectors start: drawn from the scenario's seed, or one constant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.rules.base import Setting

Floats = NDArray[np.float64]

_ITEM_STREAM, _USER_STREAM = 0, 1
"""docs/architecture.md lists the streams of a seed."""


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


@dataclass(frozen=True)
class Start:
    """kind: ``normal`` or ``constant``. scale: of that. seed: the scenario's."""

    kind: str
    scale: float
    seed: int

    def items(self, items: int, factors: int) -> Floats:
        """(items, factors): see :func:`initial_items`."""
        return initial_items(self.kind, self.scale, items, factors, self.seed)

    def user(self, user_id: int, factors: int) -> Floats:
        """(factors,): see :func:`initial_user`."""
        return initial_user(self.kind, self.scale, user_id, factors, self.seed)

    def users(self, user_ids: Iterable[int], setting: Setting) -> Floats:
        """(users, predictors) vectors of some users; biases start at zero."""
        ids = list(user_ids)
        vectors = np.zeros((len(ids), setting.predictors))
        for at, user_id in enumerate(ids):
            vectors[at, : setting.factors] = self.user(user_id, setting.factors)
        return vectors
