"""fedmf-ray as in normal use: a scenario with ratings from a file, one actor per CPU."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pandas as pd
import ray
from client import LEARNING_RATE, REGULARISATION, Population, report
from population import CPUS, INIT_SCALE, SEED

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.scenario import file as scenario_file


def main(folder: Path, rounds: int) -> None:
    population = Population.load(folder)
    users, ratings = population.items.shape
    table = {
        "user": [user for user in range(1, users + 1) for _ in range(ratings)],
        "item": population.items.ravel(),
        "rating": population.values.ravel(),
    }
    pd.DataFrame(table).to_csv(folder / "ratings.csv", index=False)
    chosen = scenario_file.parse(
        {
            "name": "orchestration",
            "seed": SEED,
            "ratings": {"source": "file", "path": str(folder / "ratings.csv")},
            "model": {
                "factors": population.item_matrix.shape[1],
                "rule": "batch",
                "learning_rate": LEARNING_RATE,
                "reg_user": REGULARISATION,
                "reg_item": REGULARISATION,
                "init_scale": INIT_SCALE,
            },
            "protocol": {"scheme": "plain"},
            "stop": {"rounds": rounds},
            "cluster": {"users_per_actor": "auto"},
        },
        "orchestration",
    )
    # A run uses a Ray instance that is already running. Without one, it would use all CPUs of the machine.
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as results:
        path = run(chosen, Path(results), Silent())
        rows = pd.read_csv(path / "rounds.csv")
        mse = json.loads((path / "summary.json").read_text())["setup"]["initial_train_mse"]
    for row in rows.itertuples():
        report(row.round, row.wall_s, mse * users * ratings)
        mse = row.train_mse
