"""The central baselines on a scenario's data: one process that holds everything, no protection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.engine.federation import Round
from fedmf_ray.engine.measured import of_round
from fedmf_ray.engine.stopping import Stopping
from fedmf_ray.errors import DivergenceError
from fedmf_ray.learning import baselines
from fedmf_ray.learning.baselines import Epoch
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.items import item_side, user_side
from fedmf_ray.learning.likings import likings
from fedmf_ray.learning.list_baselines import Ease, Ials, ease, ials
from fedmf_ray.learning.metrics import combine, error_sums
from fedmf_ray.learning.ranking import combine_rankings, ranking_sums
from fedmf_ray.planning.placement import check_process
from fedmf_ray.planning.plan import setting_of, start_of
from fedmf_ray.planning.population import Population
from fedmf_ray.planning.resolved import resolved
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.scenario.schema import Scenario

Row = dict[str, Any]
Floats = NDArray[np.float64]


class Central:
    """Trains one of :mod:`fedmf_ray.learning.baselines`; ``rounds.csv`` has no protocol columns."""

    def __init__(self, scenario: Scenario, population: Population | None = None) -> None:
        """population: who takes part, if that is known already."""
        scenario, population = resolved(scenario, population)
        self._scenario, self._steps, self.population = scenario, scenario.model.steps, population
        users, self._items = len(population.user_ids), len(population.item_ids)
        numbers = (users + self._items) * (scenario.model.factors + 2)
        check_process(8 * numbers + 24 * users * population.mean_ratings, users, self._items)
        self._users = population.all_ratings()
        mean, scale = self._steps.mean, population.scale
        self._clip = (scale.low - mean, scale.high - mean) if scenario.metrics.clip else None
        self._train = RatingBlock.of([(user.items, user.values - mean) for user in self._users])
        self._test = RatingBlock.of([(user.test_items, user.test_values - mean) for user in self._users])
        self._epoch: Epoch | None = None
        self.status, self.stopping = "complete", Stopping(scenario.stop)
        self.agreed: Agreed | None = None
        self.first_round = 0
        self.setup: Row = {}
        self.facts: Row = {"algorithm": scenario.model.algorithm, "users": len(self._users)}

    def closing(self) -> Row:
        """There is nothing to say."""
        return {}

    def ranking(self) -> Row:
        """How good users' lists are, if the scenario asks for it."""
        lists = self._scenario.metrics.lists
        if lists is None or self._epoch is None:
            return {}
        raters, scores = baselines.popularity(self._train, self._items), self._scores(self._epoch)
        sums = ranking_sums(scores, self._train, self._test, lists.less(self._steps.mean), raters)
        return combine_rankings([sums], lists.k).row()

    def interrupt(self, written: int) -> None:
        """There is nothing to save."""

    def rounds(self) -> Iterator[Round]:
        stop = self._scenario.stop
        epochs = self._epochs()
        for number in range(stop.rounds):
            if self.stopping.over(number):
                return
            wall, cpu = time.perf_counter(), cpu_clock()
            with np.errstate(over="ignore", invalid="ignore"):  # reported below
                epoch = next(epochs, None)
            wall, cpu = time.perf_counter() - wall, cpu_clock() - cpu
            if epoch is None:
                return
            self._epoch = epoch
            if not (np.isfinite(epoch.user_vectors).all() and np.isfinite(epoch.item_matrix).all()):
                raise DivergenceError(
                    f"round {number}", "vectors are no longer finite: lower model.learning_rate"
                )
            sides = epoch.user_vectors, epoch.item_matrix
            losses = combine([error_sums(*sides, self._train, self._test, self._clip)])
            self.stopping.learn(number, losses.test_rmse)
            yield Round(
                {
                    "round": number,
                    **losses._asdict(),
                    "cpu_s": cpu,
                    "wall_s": wall,
                    "users": len(self._users),
                    **of_round(number, self._scenario.metrics, True, self.ranking),
                },
                {},
            )
            if stop.tolerance and max(epoch.user_change, epoch.item_change) < stop.tolerance:
                self.status = "converged"
                return

    def _epochs(self) -> Iterator[Epoch]:
        model = self._scenario.model
        if model.algorithm == "biases":
            return baselines.biases(self._train, self._items, self._steps)
        if model.algorithm == "popularity":
            return iter([baselines.overall_mean(self._train, self._items)])
        settings, scale = model.lists_object, self.population.scale
        if settings is not None:
            liked = likings(self._train.values, self._steps.mean, (scale.low, scale.high))
            if isinstance(settings, Ease):
                return iter([ease(self._train, liked, self._items, settings)])
        start = start_of(self._scenario)
        setting = setting_of(self._scenario, self.population)
        vectors = start.users([user.user_id for user in self._users], setting)
        matrix = np.zeros((self._items, setting.predictors))
        matrix[:, : model.factors] = start.items(self._items, model.factors)
        if isinstance(settings, Ials):
            return ials(vectors[:, : model.factors], matrix[:, : model.factors], self._train, liked, settings)
        sides = user_side(vectors, model.biases), item_side(matrix, model.factors, model.biases)
        return baselines.regular_mf(*sides, self._train, self._steps, model.biases)

    def _scores(self, epoch: Epoch) -> Callable[[int], Floats]:
        """What each user is ranked by: what it would rate, or what the model has instead."""
        scores = epoch.scores
        if scores is not None:
            return lambda user: scores[user if len(scores) > 1 else 0]
        return lambda user: np.add.reduce(epoch.user_vectors[user] * epoch.item_matrix, axis=1)
