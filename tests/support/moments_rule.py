"""A rule with shared tables: the sum of u u^T over the users of the latest round, and how often they came."""

import dataclasses
from typing import ClassVar

import numpy as np

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.rules import RULES
from fedmf_ray.tables import Column, Table

MOMENTS, VISITS = "moments", "visits"


@dataclasses.dataclass(frozen=True)
class Moments(RULES.get("batch")):
    """Steps of ``batch`` over 1 + trace of the sum that users read."""

    name: ClassVar[str] = "moments"

    def shared(self, setting):
        d, users = setting.factors, setting.point.contributors
        moments = FixedPoint(20, value_bound=64, update_bound=8, contributors=users)
        visits = FixedPoint(0, value_bound=1000, update_bound=1, contributors=users)
        return (
            Table(MOMENTS, d, (Column("products", d, moments, "fresh"),)),
            Table(VISITS, 1, (Column("rounds", 1, visits), Column("half rounds", 1, visits))),
        )

    def learn(self, vectors, items, block, memory, setting):
        learned = super().learn(vectors, items, block, memory, setting)
        calmer = 1.0 / (1.0 + np.trace(items.shared[MOMENTS]))
        came = np.tile([1.0, 0.0], (len(vectors), 1, 1))
        shared = {MOMENTS: products_of(vectors), VISITS: came}
        return dataclasses.replace(learned, steps=learned.steps * calmer, shared=shared)


def products_of(vectors):
    """(users, d, d) u u^T."""
    return vectors[:, :, None] * vectors[:, None, :]


def sum_on_grid(vectors):
    """(d, d) what the table of moments holds when these users came."""
    return np.rint(products_of(vectors) * 2**20).sum(axis=0) / 2**20
