"""Apple's pfl: our own algorithm on its simulated backend, one process, NumPy arrays.

The multi-process mode of pfl needs PyTorch or TensorFlow even for NumPy models, so it uses one core here.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
from client import Population, report, step
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import FederatedAlgorithm
from pfl.callback.base import TrainingProcessCallback
from pfl.common_types import Population as Cohort
from pfl.context import CentralContext
from pfl.data import FederatedDataset
from pfl.data.dataset import Dataset
from pfl.data.sampling import MinimizeReuseUserSampler
from pfl.data.user_state import InMemoryUserStateStorage
from pfl.metrics import Metrics, StringMetricName, Summed
from pfl.model.base import Model
from pfl.stats import MappedVectorStatistics

SQUARED_ERROR = StringMetricName("squared error")


class Items(Model):
    def __init__(self, item_matrix):
        self.item_matrix = item_matrix

    def apply_model_update(self, statistics):
        self.item_matrix = self.item_matrix + statistics["items"]
        return self, Metrics()


class Factorization(FederatedAlgorithm):
    def __init__(self, vectors, rounds, statistics):
        super().__init__()
        self._rounds, self._statistics = rounds, statistics
        self._states = InMemoryUserStateStorage()
        for user, vector in enumerate(vectors):
            self._states.save_state({"vector": vector}, user)

    def get_next_central_contexts(self, model, iteration, algorithm_params, train_params, eval_params=None):
        if iteration == self._rounds:
            return None, model, Metrics()
        context = CentralContext(
            current_central_iteration=iteration,
            do_evaluation=False,
            cohort_size=algorithm_params,
            population=Cohort.TRAIN,
            algorithm_params=algorithm_params,
            model_train_params=train_params,
        )
        return (context,), model, Metrics()

    def simulate_one_user(self, model, user_dataset, central_context):
        user = user_dataset.user_id
        items, values = user_dataset.raw_data
        moved, steps, error = step(self._states.load_state(user)["vector"], model.item_matrix, items, values)
        self._states.save_state({"vector": moved}, user)
        statistics = self._statistics(items, steps, model.item_matrix.shape)
        return statistics, Metrics([(SQUARED_ERROR, Summed(error))])

    def process_aggregated_statistics(self, central_context, aggregate_metrics, model, statistics):
        return model.apply_model_update(statistics)


class Clock(TrainingProcessCallback):
    def on_train_begin(self, *, model):
        self._started = time.perf_counter()
        return Metrics()

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        now = time.perf_counter()
        report(central_iteration, now - self._started, aggregate_metrics[SQUARED_ERROR].overall_value)
        self._started = time.perf_counter()
        return False, Metrics()


def dense(items, steps, shape):
    """A user's update in the form that pfl aggregates by default: the whole matrix, zeros in unrated rows."""
    matrix = np.zeros(shape)
    matrix[items] = steps
    return MappedVectorStatistics({"items": matrix})


def main(folder: Path, rounds: int, statistics=dense, aggregator=None) -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())  # pfl expects a loop that Python no longer creates
    population = Population.load(folder)
    users = len(population.items)
    data = {user: (population.items[user], population.values[user]) for user in range(users)}
    federated = FederatedDataset(
        lambda user: Dataset(data[user], user_id=user), MinimizeReuseUserSampler(range(users))
    )
    backend = SimulatedBackend(federated, federated, aggregator=aggregator)
    algorithm = Factorization(population.user_vectors, rounds, statistics)
    algorithm.run(users, backend, Items(population.item_matrix), None, callbacks=[Clock()])
