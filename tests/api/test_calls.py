"""Scenarios as callers give them, what comes back, and what is refused."""

import asyncio
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

import fedmf_ray
from fedmf_ray import FedMFError

KEYS = {
    "name": "tiny",
    "ratings": {"source": "synthetic", "users": 6, "items": 9, "sparsity": 0.5},
    "test": {"last": 2},
    "model": {"factors": 2},
    "protocol": {"scheme": "plain"},
    "stop": {"rounds": 3},
    "cluster": {"backend": "serial"},
}


def test_a_path_a_dict_and_a_scenario_are_the_same_run(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(KEYS))
    runs = [fedmf_ray.run(given) for given in (file, str(file), KEYS)]
    runs.append(fedmf_ray.run(runs[0].scenario))
    losses = ["train_mse", "test_rmse", "test_mae"]
    for run in runs:
        assert run.path.parent == Path("results/tiny").absolute()
        assert run.scenario == runs[0].scenario
        assert run.rounds[losses].equals(runs[0].rounds[losses])


def test_the_callers_dict_stays_as_it_was():
    before = yaml.safe_dump(KEYS)
    fedmf_ray.run(KEYS, {"stop.rounds": 1, "ratings.users": 5})
    assert yaml.safe_dump(KEYS) == before


def test_overrides_take_the_values_of_python():
    changes = {"model.learning_rate": np.float64(1e-5), "seed": np.int64(7), "stop.tolerance": None}
    run = fedmf_ray.run(
        KEYS, {**changes, "cluster.checkpoint_folder": Path("state"), "description": "é: [x]"}
    )
    assert run.scenario.model.learning_rate == 1e-5
    assert run.scenario.seed == 7
    assert run.scenario.description == "é: [x]"
    assert run.scenario.cluster.checkpoint_folder == str(Path("state").absolute())


def test_what_the_folder_says_is_there():
    run = fedmf_ray.run(KEYS)
    assert list(run.rounds["round"]) == [0, 1, 2]
    assert len(run.users) == 6 * 3
    assert run.summary["status"] == "complete"
    assert run.environment["users"] == 6
    assert run.plot().axes
    assert run.report().read_text().startswith("<!doctype html>")
    assert "test RMSE" in repr(run)
    assert run.path.name in run._repr_html_()


def test_a_pickled_run_is_its_path():
    run = fedmf_ray.run(KEYS)
    run.items()
    packed = pickle.dumps(run)
    assert len(packed) < 500
    assert pickle.loads(packed).rounds.equals(run.rounds)


def test_resume_goes_on_and_takes_a_run_or_a_path():
    run = fedmf_ray.run(KEYS)
    whole = fedmf_ray.run(KEYS, {"stop.rounds": 5})
    for given, rounds in ((run, 4), (str(run.path), 5)):
        run = fedmf_ray.resume(given, {"stop.rounds": rounds})
        assert len(run.rounds) == rounds
    assert run.rounds["test_rmse"].equals(whole.rounds["test_rmse"])
    with pytest.raises(FedMFError, match="only keys of stop and cluster may change"):
        fedmf_ray.resume(run, {"model.factors": 3})


def test_a_study_has_its_cells_rounds_and_runs():
    study = fedmf_ray.sweep({**KEYS, "sweep": {"model.factors": [2, 3]}}, {"stop.rounds": 2})
    assert study.cells["status"].tolist() == ["complete", "complete"]
    assert study.rounds["model.factors"].tolist() == [2, 2, 3, 3]
    assert study.run(1).scenario.model.factors == 3
    assert study.report().is_file()
    assert "2 of 2 cells complete" in repr(study)
    assert fedmf_ray.Study(study.path).rounds.equals(study.rounds)
    with pytest.raises(FedMFError, match="has no run of cell 2: it has cells 0 to 1"):
        study.run(2)
    with pytest.raises(FedMFError, match=r"is the folder of a study: fedmf_ray.Study\(path\) opens it"):
        fedmf_ray.load(study.path)
    with pytest.raises(FedMFError, match="no checkpoint to go on from"):
        study.run(0).items()


def test_estimates_of_a_study_come_in_a_list():
    found = fedmf_ray.estimate({**KEYS, "sweep": {"ratings.users": [6, 8]}})
    assert [one.users for one in found] == [6, 8]


def test_an_audit_attacks_a_run_that_is_given():
    run = fedmf_ray.run(KEYS, {"observe": "server", "test": {}, "stop.rounds": 4})
    findings = fedmf_ray.audit(run.scenario, view=run)
    assert findings["recovered"].max() == 1.0
    assert findings.attrs["path"] == str(run.path)
    with pytest.raises(FedMFError, match="observe: is missing"):
        fedmf_ray.audit(KEYS)


@pytest.mark.parametrize(
    ("scenario", "overrides", "message"),
    [
        ("nowhere.yaml", None, "nowhere.yaml: no such scenario file"),
        (7, None, "scenario: is int: give the path of a scenario file, or a dict of its keys"),
        (KEYS, ["stop.rounds=3"], "overrides: is list: give a dict of dotted keys and values"),
        (KEYS, {"stop.rounds": "many"}, "scenario: stop.rounds"),
        (KEYS, {"stop.rounds": object()}, "overrides.stop.rounds: object is no value of a scenario"),
        ({**KEYS, "modle": {}}, None, "scenario: modle"),
        ({**KEYS, "sweep": {"seed": [1]}}, None, "holds a sweep: run it with fedmf_ray.sweep"),
    ],
)
def test_what_is_no_scenario_is_said_in_one_line(scenario, overrides, message):
    with pytest.raises(FedMFError) as caught:
        fedmf_ray.run(scenario, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("results").exists()


def test_results_that_cannot_be_written_are_told_in_pythons_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FedMFError, match="give another results="):
        fedmf_ray.run(KEYS, results=tmp_path / "file")
    with pytest.raises(FedMFError, match="results: s3://bucket/x: give a folder of this machine"):
        fedmf_ray.run(KEYS, results="s3://bucket/x")


def test_what_is_no_run_folder_is_said(tmp_path):
    with pytest.raises(FedMFError, match="is no run folder"):
        fedmf_ray.load(tmp_path)
    with pytest.raises(FedMFError, match="is no study that has ended"):
        fedmf_ray.Study(tmp_path)


def test_weak_keys_are_a_warning_of_python():
    with pytest.warns(UserWarning, match="1024"):
        fedmf_ray.run(KEYS, {"protocol.scheme": "packed", "protocol.key_bits": 1024, "stop.rounds": 1})


def test_it_works_in_a_running_event_loop_beside_a_ray_that_is_there(local_ray):
    """As in a notebook, whose cells run inside of Jupyter's loop."""

    async def cell():
        return fedmf_ray.run(KEYS, {"cluster": {"users_per_actor": 3}, "stop.rounds": 2})

    run = asyncio.run(cell())
    assert run.environment["backend"] == "ray"
    assert local_ray.is_initialized()
    serial = fedmf_ray.run(KEYS, {"stop.rounds": 2})
    assert run.rounds["test_rmse"].equals(serial.rounds["test_rmse"])
    assert run.predict([(1, 2), (6, 9)]).tolist() == serial.predict([(1, 2), (6, 9)]).tolist()
