"""Rounds as metrics of MLflow: pip install mlflow-skinny; python examples/track_mlflow.py"""

from pathlib import Path

import mlflow

import fedmf_ray


def log(row):
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and value == value}
    mlflow.log_metrics(numbers, step=row["round"])


with mlflow.start_run():
    run = fedmf_ray.run(Path(__file__).parent / "own_data.yaml", {"protocol.scheme": "plain"}, on_round=log)
    mlflow.log_params({"rule": run.scenario.model.rule, "factors": run.scenario.model.factors})
    mlflow.log_artifact(str(run.path / "rounds.csv"))
