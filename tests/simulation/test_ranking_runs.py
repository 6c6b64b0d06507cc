"""Ranking at the end of whole runs: the same wherever it is computed, and better after training."""

import json

import pytest

from fedmf_ray.simulation.plan import Plan
from fedmf_ray.simulation.progress import Silent
from fedmf_ray.simulation.rounds import Federation
from fedmf_ray.simulation.run import checkpoints_of, resume, run
from tests.simulation.test_ridge_runs import RIDGE
from tests.support.faults import FaultyBackend
from tests.support.small_runs import small

LISTS = {"metrics": {"top_k": 3, "relevant_from": 3.5}}


def ranking_of(folder):
    return json.loads((folder / "summary.json").read_text()).get("ranking")


def ranked(tmp_path, **changes):
    return ranking_of(run(small(**RIDGE | LISTS | changes), tmp_path, Silent()))


def test_schemes_placement_and_interruption_agree(local_ray, tmp_path):
    plain = ranked(tmp_path, protocol__scheme="plain")
    assert plain["k"] == 3
    assert 0 < plain["hit_rate"] <= 1
    assert plain == ranked(tmp_path, protocol__scheme="packed", cluster__users_per_actor=3)
    assert plain == ranked(tmp_path, cluster__backend="ray", cluster__users_per_actor=4)
    folder = run(small(**RIDGE | LISTS | {"stop__rounds": 2}), tmp_path, Silent())
    assert ranking_of(resume(folder, Silent(), ["stop.rounds=5"])) == plain


def test_nothing_is_ranked_unless_asked(tmp_path):
    assert ranking_of(run(small(), tmp_path, Silent())) is None


def test_an_actor_that_dies_at_the_end_is_replaced(local_ray, tmp_path):
    chosen = small(**RIDGE | LISTS, cluster__backend="ray", cluster__users_per_actor=4)
    backend, events = FaultyBackend(), []
    checkpoints = checkpoints_of(tmp_path, chosen)
    try:
        federation = Federation(
            chosen, Plan.of(chosen), backend, Silent(), checkpoints, lambda event, **_: events.append(event)
        )
        assert len(list(federation.rounds())) == 5
        backend.kill("UserActor")
        assert federation.closing()["ranking"] == ranked(tmp_path)
    finally:
        backend.close()
    assert events == ["user_actor_died"]


@pytest.mark.parametrize("algorithm", ["regular_mf", "biases", "popularity"])
def test_central_baselines_are_measured_alike(tmp_path, algorithm):
    found = ranked(tmp_path, model__algorithm=algorithm, model__rule="batch")
    assert found["users"] == ranked(tmp_path)["users"]
    assert 0 <= found["ndcg"] <= 1
