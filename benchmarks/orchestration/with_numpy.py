"""A bare loop over the users: only the work itself, on one core."""

from __future__ import annotations

import time
from pathlib import Path

from client import Population, report, step


def main(folder: Path, rounds: int) -> None:
    population = Population.load(folder)
    item_matrix, vectors = population.item_matrix.copy(), population.user_vectors.copy()
    for number in range(rounds):
        started = time.perf_counter()
        total, squared_error = item_matrix.copy(), 0.0
        for user, (items, values) in enumerate(zip(population.items, population.values, strict=True)):
            vectors[user], steps, error = step(vectors[user], item_matrix, items, values)
            total[items] += steps
            squared_error += error
        item_matrix = total
        report(number, time.perf_counter() - started, squared_error)
