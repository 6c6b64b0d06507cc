"""A lower bound on Ray: one bare actor per CPU owns its users and sends the sum of their steps."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import ray
from client import Population, report, step
from population import CPUS


@ray.remote(num_cpus=0)
class Users:
    """Every CPUS-th user; their ratings and vectors stay in this actor."""

    def __init__(self, folder: Path, first: int) -> None:
        population = Population.load(folder)
        self._items, self._values = population.items[first::CPUS], population.values[first::CPUS]
        self._vectors = population.user_vectors[first::CPUS].copy()

    def train(self, item_matrix: np.ndarray) -> tuple[np.ndarray, float]:
        total, squared_error = np.zeros_like(item_matrix), 0.0
        for user, (items, values) in enumerate(zip(self._items, self._values, strict=True)):
            self._vectors[user], steps, error = step(self._vectors[user], item_matrix, items, values)
            total[items] += steps
            squared_error += error
        return total, squared_error


def main(folder: Path, rounds: int) -> None:
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    actors = [Users.remote(folder, first) for first in range(CPUS)]
    item_matrix = Population.load(folder).item_matrix.copy()
    for number in range(rounds):
        started = time.perf_counter()
        published = ray.put(item_matrix)
        totals, errors = zip(*ray.get([actor.train.remote(published) for actor in actors]), strict=True)
        item_matrix += sum(totals)
        report(number, time.perf_counter() - started, sum(errors))
    ray.shutdown()
