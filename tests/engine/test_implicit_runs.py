"""Whole runs of the implicit rule: the same tables and lists whatever the scheme, the place and who dies."""

import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.study.estimate import estimate
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import small

IMPLICIT = {
    "model__rule": "implicit",
    "model__implicit": {"reg": 2.0},
    "ratings__users": 8,
    "ratings__items": 20,
    "metrics": {"top_k": 3, "relevant_from": 3.5},
    "stop__rounds": 4,
}
SOME = {"share": 0.8, "dropout": 0.2, "late": 0.1}
PLAIN = {"protocol__scheme": "plain"}


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """The item table after the last round, with everybody present, and with some absent, late or lost."""
    folder = tmp_path_factory.mktemp("still")
    return {
        name: train(small(**IMPLICIT | PLAIN | some), SerialBackend(), folder / name)[0]
        for name, some in {"all": {}, "some": {"participation": SOME}}.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol__scheme": "packed"},
        {"protocol__scheme": "packed", "protocol__part_text_sparsity": 0.0, "cluster__server_shards": 2},
        {"protocol__scheme": "plain", "cluster__users_per_actor": 8},
        {"protocol__scheme": "plain", "protocol__charge": "packed", "cluster__users_per_actor": 3},
    ],
    ids=["packed", "full text, shards", "together", "calibrated"],
)
def test_schemes_and_placement_agree(tmp_path, still, changes):
    assert np.array_equal(train(small(**IMPLICIT | changes), SerialBackend(), tmp_path)[0], still["all"])


def test_elementwise_agrees(tmp_path):
    short = IMPLICIT | {"stop__rounds": 1, "ratings__items": 8, "ratings__users": 4}
    tables = [
        train(small(**short, protocol__scheme=scheme), SerialBackend(), tmp_path / scheme)[0]
        for scheme in ("plain", "elementwise")
    ]
    assert np.array_equal(*tables)


def test_processes_that_die_change_nothing(local_ray, tmp_path, still):
    on_ray = {"cluster__backend": "ray", "cluster__users_per_actor": 4, "cluster__server_shards": 2}
    dying = FaultyBackend([("train", 3, "UserActor"), ("close", 3, "ServerActor")])
    scenario = small(**IMPLICIT | on_ray | {"participation": SOME}, cluster__checkpoint_every=2)
    assert np.array_equal(train(scenario, dying, tmp_path)[0], still["some"])
    assert len(dying.killed) == 2


def test_a_run_goes_on_as_if_nothing_had_happened(tmp_path):
    some = IMPLICIT | {"participation": SOME}
    whole = run(small(**some), tmp_path / "whole", Silent())
    folder = run(small(**some | {"stop__rounds": 2}), tmp_path / "half", Silent())
    resume(folder, Silent(), ["stop.rounds=4"])
    summaries = [json.loads((one / "summary.json").read_text())["ranking"] for one in (whole, folder)]
    assert summaries[0] == summaries[1]


def test_an_estimate_has_the_bytes_of_a_run(tmp_path):
    full_text = IMPLICIT | {"protocol__scheme": "packed", "protocol__part_text_sparsity": 0.0}
    rows = pd.read_csv(run(small(**full_text), tmp_path, Silent()) / "rounds.csv")
    estimated = estimate(small(**full_text), SerialBackend()).row
    for column in ("upload_bytes_total", "download_bytes_total"):
        assert estimated[column] == rows[column][0]


def test_a_vector_over_its_bound_is_named(tmp_path):
    with pytest.raises(FedMFError, match=r"raise model.implicit.reg or protocol.value_bound"):
        run(small(**IMPLICIT, protocol__value_bound=0.01), tmp_path, Silent())
