"""Ranking at the end of whole runs: the same wherever it is computed, and better after training."""

import json

import numpy as np
import pytest

from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
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
