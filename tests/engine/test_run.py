"""Whole runs: identical results wherever users live, honest columns, and a folder that holds no secret."""

import dataclasses
import json
import math
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.answers import Hosting
from fedmf_ray.engine.backends import open_backend
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.planning.participation import IN_TIME
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.schemes.numbers import array_to_numbers
from fedmf_ray.storage.key_files import create_keys
from tests.support.small_runs import LOSSES, rounds_of, small


def final_items(chosen):
    """V after the last round of a scenario, by the actors' own methods in one process."""
    user, server, items = alone(chosen)
    everybody = np.full(chosen.ratings.users, IN_TIME, np.int8)
    for number in range(chosen.stop.rounds):
        user.open_round(number, items)
        uploads, _, _ = user.train(0, everybody, False)
        assert server.receive(uploads).added == len(everybody)
        closed, _, added = server.close(len(everybody))
        assert len(closed.credited) == added == len(everybody)
        items, _ = server.publish()
    user.open_round(chosen.stop.rounds, items)
    return user.items_in_the_clear()


EVERYBODY = np.full(7, IN_TIME, np.int8)


def alone(chosen):
    """All users of a scenario in one actor, their server, and the matrix that opens round 0."""
    plan = Plan.of(chosen)
    evaluator, key, _ = create_keys(plan.scheme, plan.terms.blocks.shape)
    members = plan.population.members(0, chosen.ratings.users)
    terms = dataclasses.replace(plan.terms, shared_check=False)  # nobody seals anything here
    user = UserActor(terms, Hosting(plan.scheme.lightweight, combine=False))
    joined = user.set_up(members, sides=(evaluator, key))
    items, cpu_s = user.encrypt_initial_items()
    assert cpu_s > 0
    return user, ServerActor(evaluator, items, Roster(joined.user_ids, joined.blocks[:, 0])), items


@pytest.mark.parametrize("sparsity", [0.0, 0.4, 1.0])
def test_plain_and_packed_runs_have_bit_identical_losses_and_items(tmp_path, sparsity):
    plain, packed = (
        rounds_of(tmp_path, protocol__scheme=scheme, protocol__part_text_sparsity=sparsity)
        for scheme in ("plain", "packed")
    )
    assert plain[LOSSES].equals(packed[LOSSES])
    assert plain["train_mse"].is_monotonic_decreasing
    items = [
        final_items(small(protocol__scheme=scheme, protocol__part_text_sparsity=sparsity))
        for scheme in ("plain", "packed")
    ]
    assert np.array_equal(*items)


class RevealingUserActor(UserActor):
    """A user actor that shows the item matrix it has decrypted."""

    def reveal(self):
        return self.items_in_the_clear()


def items_and_losses(chosen, monkeypatch):
    """V after the last round, and the losses of every round, of a scenario on its own backend."""
    monkeypatch.setattr("fedmf_ray.engine.crew.UserActor", RevealingUserActor)
    backend = open_backend(chosen.cluster)
    try:
        federation = Federation(chosen, Plan.of(chosen), backend, Silent())
        losses = [[row[loss] for loss in LOSSES] for row, *_ in federation.rounds()]
        revealed = backend.get([backend.call(actor, "reveal") for actor in federation._crew.users])
    finally:
        backend.close()
    assert all(np.array_equal(matrix, revealed[0]) for matrix in revealed)
    return revealed[0], losses


@pytest.mark.parametrize(
    ("rule", "placements"),
    [
        ("sequential", [(1, 1), ("auto", None)]),
        ("batch", [(1, None)]),
    ],
    ids=["sequential", "batch"],
)
def test_where_users_live_does_not_change_a_bit(local_ray, monkeypatch, rule, placements):
    """Three users: a Ray worker takes half a second to start. More of them share actors in one process."""
    chosen = {"model__rule": rule, "ratings__users": 3}
    single = small(**chosen)
    expected, losses = items_and_losses(single, monkeypatch)
    assert np.array_equal(expected, final_items(single))  # the bare loop over protocol/ agrees
    assert len(losses) == 3
    for users_per_actor, in_flight in placements:
        cluster = {"backend": "ray", "users_per_actor": users_per_actor, "in_flight": in_flight}
        items, same = items_and_losses(small(**chosen, cluster=cluster), monkeypatch)
        assert np.array_equal(items, expected)
        assert same == losses


@pytest.mark.parametrize("scheme", ["plain", "packed", "masked", "committee"])
def test_how_work_is_cut_does_not_change_a_bit(tmp_path, monkeypatch, scheme):
    chosen = {"cluster__users_per_actor": 7, "protocol__scheme": scheme}
    whole = rounds_of(tmp_path, **chosen)
    for limit in ("CALL_RATINGS", "COMBINED_RATINGS", "CALL_BLOCKS", "_CACHE_RATINGS"):
        monkeypatch.setattr(f"fedmf_ray.engine.user_actor.{limit}", 5)
    assert rounds_of(tmp_path, **chosen)[LOSSES].equals(whole[LOSSES])


def one_actor(chosen):
    """All users of a scenario in one actor that has opened round 0, and the costs of training in it."""
    actor, _, items = alone(chosen)
    actor.open_round(0, items)
    return actor, actor.train(0, EVERYBODY, False)[1]


def test_every_user_of_an_actor_is_charged_the_whole_decryption():
    actor, costs = one_actor(small())
    assert (actor._decrypt_cpu_s > 0).all()
    assert costs.decrypt_cpu_s.tolist() == [actor._decrypt_cpu_s[0]] * 7


def test_updates_are_measured_alone_under_encryption_and_shared_by_ratings_in_plain_runs():
    for scheme, different in (("plain", 1), ("packed", 7)):
        actor, costs = one_actor(small(protocol__scheme=scheme))
        pairs = zip(costs.update_cpu_s, actor._users.rating_counts, strict=True)
        seconds_a_rating = {round(seconds / count, 15) for seconds, count in pairs}
        assert len(seconds_a_rating) == different


def test_the_server_actor_never_holds_a_key_a_rating_or_a_vector():
    actor, server, items = alone(small())
    actor.open_round(0, items)
    uploads, _, _ = actor.train(0, EVERYBODY, False)
    server.receive(uploads)
    state, users, key = pickle.dumps(server), actor._users, actor._key
    p, q = map(int, array_to_numbers(key.secrets()["primes"]))
    assert (p * q).to_bytes(128, "little") in state  # the search finds what is there
    for prime in (p, q):
        assert prime.to_bytes(64, "little") not in state
    assert not np.array_equal(users.vectors, users.opened)
    for user in range(len(users)):
        for secret in (users.opened[user], users.vectors[user], users.train.part(user, user + 1).values):
            assert secret.tobytes() not in state


def test_stops_when_converged(tmp_path):
    folder = run(small(stop={"rounds": 50, "tolerance": 0.05}), tmp_path, Silent())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "converged"
    assert 1 < summary["rounds"] < 50


@pytest.mark.parametrize("rule", ["sequential", "batch"])
@pytest.mark.parametrize("users_per_actor", [1, 3, 7])
def test_sharing_an_actor_does_not_change_a_bit(monkeypatch, rule, users_per_actor):
    single = small(model__rule=rule)
    shared = small(model__rule=rule, cluster__users_per_actor=users_per_actor)
    items, _ = items_and_losses(shared, monkeypatch)
    assert np.array_equal(items, final_items(single))


def test_divergence_is_named_and_leaves_the_complete_rounds(tmp_path):
    with pytest.raises(DivergenceError, match="learning_rate"):
        run(small(model__learning_rate=0.05, stop__rounds=60), tmp_path, Silent())
    (folder,) = tmp_path.glob("small/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "diverged"
    assert "learning_rate" in summary["reason"]
    assert not re.search(r"user|item \d", summary["reason"])  # who stepped where is private
    assert len(pd.read_csv(folder / "rounds.csv")) == summary["rounds"] > 0


def test_divergence_in_a_ray_actor_reads_the_same(tmp_path, local_ray):
    cluster = {"backend": "ray", "users_per_actor": 7}
    with pytest.raises(DivergenceError, match=r"^(user|round) \d+, item \d+.*: .*learning_rate") as caught:
        run(small(model__learning_rate=0.05, stop__rounds=60, cluster=cluster), tmp_path, Silent())
    assert "\n" not in str(caught.value)


def test_the_central_baseline_diverges_with_a_word(tmp_path):
    chosen = small(model__algorithm="regular_mf", model__learning_rate=3.0, stop__rounds=300)
    with pytest.raises(
        DivergenceError, match=r"round \d+: vectors are no longer finite: lower model.learning"
    ):
        run(chosen, tmp_path, Silent())
    (summary,) = tmp_path.glob("small/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "diverged"


def test_an_error_between_rounds_is_in_the_summary(tmp_path, monkeypatch):
    def fail(*_):
        raise FedMFError("the cat took the server")

    monkeypatch.setattr(ServerActor, "publish", fail)
    with pytest.raises(FedMFError):
        run(small(), tmp_path, Silent())
    (summary,) = tmp_path.glob("small/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "failed"
    assert "cat" in summary.read_text()


def test_the_central_baseline_runs_from_the_same_scenario(tmp_path):
    federated = rounds_of(tmp_path, stop__rounds=30)
    central = rounds_of(tmp_path, model__algorithm="regular_mf", stop__rounds=30)
    assert central["train_mse"].iloc[-1] == pytest.approx(federated["train_mse"].iloc[-1], rel=0.2)
    assert "protocol_s" not in central


def test_without_a_test_set_its_losses_are_empty(tmp_path):
    folder = run(small(test={}), tmp_path, Silent())
    assert pd.read_csv(folder / "rounds.csv")["test_rmse"].isna().all()
    last = json.loads((folder / "summary.json").read_text())["last_round"]
    assert last["test_rmse"] is None
    assert math.isfinite(last["train_mse"])


def test_figures_to_watch_tell_round_and_phase(tmp_path, monkeypatch):
    shown = []

    class Watched:
        def set(self, **figures):
            shown.append(figures)

    monkeypatch.setattr("fedmf_ray.engine.backends.SerialBackend.gauges", lambda self: Watched())
    rows = rounds_of(tmp_path)
    assert [figures["round"] for figures in shown if "round" in figures] == [0, 1, 2]
    assert [figures["phase"] for figures in shown] == [3, 1, 2, 0] * 3 + [3]
    assert [figures["train_mse"] for figures in shown if "train_mse" in figures] == rows["train_mse"].tolist()
