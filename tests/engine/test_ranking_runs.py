"""Ranking at the end of whole runs: the same wherever it is computed, and better after training."""

import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.engine.sealing import Sealed
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from tests.engine.test_ridge_runs import RIDGE, Watched
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


def test_popularity_is_read_from_the_encrypted_counts(tmp_path):
    """Enough of it, and a user is shown what most have rated of what it has not."""
    watched = Watched()
    assert len(list(watched.federation.rounds())) == 5
    actor, users = watched.federation._crew.users[0], watched.users
    raters = np.bincount(users.train.items, minlength=len(watched.rows))
    for at, user_id in enumerate(users.user_ids.tolist()):
        rows, _ = actor.recommend(user_id, 6, 1e6)
        unseen = np.delete(raters, users.train.part(at, at + 1).items)
        assert raters[rows].tolist() == sorted(unseen.tolist(), reverse=True)[:6]


@pytest.mark.parametrize("changes", [{}, {"model__algorithm": "regular_mf"}], ids=["ridge", "central"])
def test_popularity_changes_what_is_measured(tmp_path, changes):
    assert ranked(tmp_path, **changes) != ranked(tmp_path, **changes, metrics__popularity=1e6)


def test_popularity_needs_counts(tmp_path):
    with pytest.raises(FedMFError, match=r"small.yaml: metrics.popularity: rule batch .*: set it to 0"):
        ranked(tmp_path, metrics__popularity=0.5, model__rule="batch")


@pytest.mark.parametrize("changes", [{}, {"model__algorithm": "biases"}], ids=["ridge", "central"])
def test_lists_are_measured_after_every_so_many_rounds(tmp_path, changes):
    every = {"metrics": {"top_k": 3, "relevant_from": 3.5, "every": 2}, "stop__rounds": 4}
    folder = run(small(**RIDGE | every | changes), tmp_path, Silent())
    rows, last = pd.read_csv(folder / "rounds.csv"), ranking_of(folder)
    names = [name for name in last if name not in ("k", "users")]
    assert {"hit_rate", "map", "popularity", "coverage"} < set(names)
    assert rows["ndcg"].notna().tolist() == [False, True, False, True]
    assert rows[names].iloc[-1].to_dict() == {name: last[name] for name in names}
    two = run(small(**RIDGE | LISTS | changes | {"stop__rounds": 2}), tmp_path, Silent())
    assert rows[names].iloc[1].to_dict() == {name: ranking_of(two)[name] for name in names}


def test_what_a_single_user_is_shown_leaves_its_actor_sealed(local_ray, tmp_path):
    """Of all users together the driver learns a share; of one actor's users nothing that it can read."""
    chosen = small(**RIDGE | LISTS, cluster__backend="ray", cluster__users_per_actor=1)
    backend = RayBackend(None)
    try:
        federation = Federation(chosen, Plan.of(chosen), backend, Silent(), None)
        sums = backend.get(backend.call(federation._crew.users[0], "rank", chosen.metrics.lists))
        assert isinstance(sums.shown, Sealed)
        assert 0 < federation.ranking()["coverage"] <= 1
    finally:
        backend.close()


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
        assert federation.ranking() == ranked(tmp_path)
    finally:
        backend.close()
    assert events == ["user_actor_died"]


@pytest.mark.parametrize("algorithm", ["regular_mf", "biases", "popularity", "ease", "ials"])
def test_central_baselines_are_measured_alike(tmp_path, algorithm):
    found = ranked(tmp_path, model__algorithm=algorithm, model__rule="batch")
    assert found["users"] == ranked(tmp_path)["users"]
    assert 0 <= found["ndcg"] <= 1
