"""The central baseline on a scenario's data: one process that holds everything, no protection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fedmf_ray.errors import DivergenceError
from fedmf_ray.factors import RatingBlock, initial_items, initial_user, regular_mf
from fedmf_ray.metrics import combine, error_sums
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.scenario import Scenario
from fedmf_ray.simulation.costs import cpu_clock
from fedmf_ray.simulation.plan import steps
from fedmf_ray.simulation.population import Population
from fedmf_ray.simulation.rounds import Round

Row = dict[str, Any]


class Central:
    """Trains with :func:`fedmf_ray.factors.regular_mf`; ``rounds.csv`` has no protocol columns."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        population = Population.of(scenario)
        self._users = population.all_ratings()
        self._items = len(population.item_ids)
        self.status = "complete"
        self.agreed: Agreed | None = None
        self.first_round = 0
        self.setup: Row = {}
        self.facts: Row = {"algorithm": "regular_mf", "users": len(self._users)}

    def closing(self) -> Row:
        return {}

    def interrupt(self) -> None:
        """There is nothing to save."""

    def rounds(self) -> Iterator[Round]:
        model, seed, stop = self._scenario.model, self._scenario.seed, self._scenario.stop
        block = RatingBlock.of([(user.items, user.values) for user in self._users])
        test = RatingBlock.of([(user.test_items, user.test_values) for user in self._users])
        vectors = np.stack(
            [
                initial_user(model.init, model.init_scale, user.user_id, model.factors, seed)
                for user in self._users
            ]
        )
        matrix = initial_items(model.init, model.init_scale, self._items, model.factors, seed)
        epochs = regular_mf(vectors, matrix, block, steps(self._scenario))
        for number in range(stop.rounds):
            wall, cpu = time.perf_counter(), cpu_clock()
            with np.errstate(over="ignore", invalid="ignore"):  # reported below
                epoch = next(epochs)
            wall, cpu = time.perf_counter() - wall, cpu_clock() - cpu
            if not (np.isfinite(epoch.user_vectors).all() and np.isfinite(epoch.item_matrix).all()):
                raise DivergenceError(
                    f"round {number}", "vectors are no longer finite: lower model.learning_rate"
                )
            losses = combine([error_sums(epoch.user_vectors, epoch.item_matrix, block, test)])
            yield Round(
                {
                    "round": number,
                    **losses._asdict(),
                    "cpu_s": cpu,
                    "wall_s": wall,
                    "users": len(self._users),
                },
                {},
            )
            if stop.tolerance and max(epoch.user_change, epoch.item_change) < stop.tolerance:
                self.status = "converged"
                return
