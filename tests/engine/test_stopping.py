"""Early stopping: where a run ends does not depend on interruptions, and the test set has no part in it."""

import itertools
import json

import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.engine.stopping import Stopping
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario.schema import Stop
from fedmf_ray.study import cells
from fedmf_ray.study.sweep import run_study
from tests.support.small_runs import losses_of, small
from tests.support.small_studies import Watch

FLATTENS = {
    "ratings": {"source": "synthetic", "users": 12, "items": 20, "sparsity": 0.3},
    "test": {"folds": 4, "fold": 0, "validation": 1},
    "model": {"rule": "ridge", "factors": 4, "reg_user": 1.0, "reg_item": 1.0, "init_scale": 0.5},
    "protocol": {"scheme": "plain", "update_bound": 1000.0, "value_bound": 10000.0},
    "stop": {"rounds": 30, "patience": 3, "min_delta": 0.01},
}


def flattens(**changes):
    return small(**{**FLATTENS, **changes})


@pytest.mark.parametrize(
    ("errors", "delta", "ends_after", "best"),
    [
        ([5, 4, 3, 3, 3, 2, 1], 0.0, 5, 2),  # equal is no improvement
        ([5, 4, 3, 3.5, 2.9, 3, 3, 3], 0.0, 7, 4),
        ([5, 4.9, 4.8, 4.7, 4.6], 0.5, 3, 0),  # too small a step
        ([5, 4, 3, 2], 0.0, None, 3),
        ([float("nan"), 4, 5, 6], 0.0, 4, 1),
    ],
)
def test_when_it_is_over(errors, delta, ends_after, best):
    stopping = Stopping(Stop(patience=2, min_delta=delta))
    for number, error in enumerate(errors):
        stopping.learn(number, error)
    ended = next((count for count in itertools.count(1) if count > len(errors) or stopping.over(count)), None)
    assert (None if ended > len(errors) else ended) == ends_after
    assert stopping.row(len(errors) if ends_after is None else ends_after)["best_round"] == best


def test_without_patience_it_is_never_over():
    stopping = Stopping(Stop())
    for number in range(50):
        stopping.learn(number, 1.0)
        assert not stopping.over(number + 1)


def ended(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_ends_when_errors_no_longer_fall(tmp_path):
    folder = run(flattens(), tmp_path, Silent())
    rounds, summary = pd.read_csv(folder / "rounds.csv"), ended(folder)
    assert len(rounds) < 30
    best = len(rounds) - 1 - 3
    errors = rounds["test_rmse"]
    assert (errors[best + 1 :] >= errors[best] - 0.01).all()
    assert errors[best] < errors[:best].min() - 0.01
    assert summary["status"] == "stopped_early"
    assert summary["early_stopping"] == {"best_round": best, "best_rmse": rounds["test_rmse"][best]}
    whole = run(flattens(stop={"rounds": len(rounds)}), tmp_path / "whole", Silent())
    assert losses_of(folder).equals(losses_of(whole))


@pytest.mark.parametrize("first", [1, 2, 4])
def test_a_run_that_was_interrupted_ends_in_the_same_round(tmp_path, first):
    undisturbed = run(flattens(), tmp_path / "whole", Silent())
    folder = run(
        flattens(stop={"rounds": first, "patience": 3, "min_delta": 0.01}), tmp_path / "parts", Silent()
    )
    resume(folder, Silent(), ["stop.rounds=30"])
    assert losses_of(folder).equals(losses_of(undisturbed))
    assert ended(folder)["early_stopping"] == ended(undisturbed)["early_stopping"]


def test_a_run_that_stopped_early_does_not_go_on_unless_patience_grows(tmp_path):
    folder = run(flattens(), tmp_path, Silent())
    before = losses_of(folder)
    resume(folder, Silent())
    assert losses_of(folder).equals(before)
    assert ended(folder)["status"] == "stopped_early"
    resume(folder, Silent(), ["stop.patience=4"])
    assert len(losses_of(folder)) == len(before) + 1


def test_the_test_fold_has_no_part_in_it(tmp_path):
    with pytest.raises(FedMFError, match=r"stop.patience: needs ratings that are neither .*validation: 1"):
        flattens(test={"folds": 4, "fold": 0})


def test_central_baselines_stop_too(tmp_path):
    model = {"algorithm": "regular_mf", "factors": 4, "learning_rate": 0.05, "init_scale": 0.5, "reg_user": 0}
    folder = run(
        flattens(model=model, stop={"rounds": 2000, "patience": 2, "min_delta": 0.01}), tmp_path, Silent()
    )
    assert ended(folder)["status"] == "stopped_early"


def test_a_cell_that_stopped_early_is_complete(tmp_path):
    tree = flattens().model_dump(mode="json", exclude_none=True)
    tree["sweep"] = {"model.reg_user": [0.01, 0.02]}
    study = cells.of_tree(tree, "x.yaml")
    outcome = run_study(study, tmp_path, Watch())
    assert outcome.incomplete == []
