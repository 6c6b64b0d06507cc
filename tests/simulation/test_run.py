"""Whole runs: identical results wherever users live, honest columns, and a folder that holds no secret."""

import contextlib
import gzip
import itertools
import json
import math
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from fedmf_ray import scenario_file
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.protocol.user import update as real
from fedmf_ray.simulation.actors import ServerActor, UserActor, create_keys
from fedmf_ray.simulation.backends import open_backend
from fedmf_ray.simulation.plan import Plan
from fedmf_ray.simulation.progress import Silent
from fedmf_ray.simulation.rounds import Federation
from fedmf_ray.simulation.run import run

LOSSES = ["train_mse", "test_rmse", "test_mae"]


def small(**changes):
    """Seven synthetic users, three rounds, in one process."""
    tree = {
        "name": "small",
        "ratings": {"source": "synthetic", "users": 7, "items": 12, "sparsity": 0.5},
        "test": {"last": 2},
        "model": {"factors": 4, "learning_rate": 0.02, "init_scale": 0.3},
        "protocol": {"key_bits": 1024},
        "stop": {"rounds": 3},
        "cluster": {"backend": "serial"},
    }
    for dotted, value in changes.items():
        *sections, key = dotted.split("__")
        node = tree
        for section in sections:
            node = node[section]
        node[key] = value
    return scenario_file.parse(tree, "small.yaml")


def rounds_of(tmp_path, **changes):
    return pd.read_csv(run(small(**changes), tmp_path, Silent()) / "rounds.csv")


def final_items(chosen):
    """V after the last round of a scenario, by the actors' own methods in one process."""
    plan = Plan.of(chosen)
    evaluator, key, _ = create_keys(plan.scheme, plan.matrices)
    user = UserActor(plan.population.members(0, len(plan.population.user_ids)), plan.terms, plan.together)
    user.set_up(key)
    items = user.encrypt_initial_items()
    server = ServerActor(evaluator, items, plan.population.user_ids)
    for number in range(chosen.stop.rounds):
        user.open_round(items)
        uploads, _ = user.train(number, 0)
        server.receive(uploads)
        items, _ = server.publish()
    user.open_round(items)
    return user._item_matrix


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
        return self._item_matrix


def items_and_losses(chosen, monkeypatch):
    """V after the last round, and the losses of every round, of a scenario on its own backend."""
    monkeypatch.setattr("fedmf_ray.simulation.rounds.UserActor", RevealingUserActor)
    backend = open_backend(chosen.cluster)
    try:
        federation = Federation(chosen, Plan.of(chosen), backend, Silent())
        losses = [[row[loss] for loss in LOSSES] for row, *_ in federation.rounds()]
        revealed = backend.get([backend.call(actor, "reveal") for actor in federation._actors])
    finally:
        backend.close()
    assert all(np.array_equal(matrix, revealed[0]) for matrix in revealed)
    return revealed[0], losses


@pytest.mark.parametrize("rule", ["sequential", "batch"])
def test_where_users_live_does_not_change_a_bit(local_ray, monkeypatch, rule):
    single = small(model__rule=rule)
    expected, losses = items_and_losses(single, monkeypatch)
    assert np.array_equal(expected, final_items(single))  # the bare loop over protocol/ agrees
    assert len(losses) == 3
    for users_per_actor, in_flight in [(1, None), (1, 1), (3, None), (7, None), ("auto", None)]:
        cluster = {"backend": "ray", "users_per_actor": users_per_actor, "in_flight": in_flight}
        items, same = items_and_losses(small(model__rule=rule, cluster=cluster), monkeypatch)
        assert np.array_equal(items, expected)
        assert same == losses


def test_training_blocks_do_not_change_a_bit(tmp_path, monkeypatch):
    whole = rounds_of(tmp_path, cluster__users_per_actor=7)
    monkeypatch.setattr("fedmf_ray.simulation.actors._BLOCK_RATINGS", 5)
    assert rounds_of(tmp_path, cluster__users_per_actor=7)[LOSSES].equals(whole[LOSSES])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run(small(network={"upload_gbps": 0.5, "latency_s": 0.01}), tmp_path_factory.mktemp("r"), Silent())


class TestRunFolder:
    def test_holds_everything_that_it_promises(self, folder):
        assert folder.is_absolute()
        assert {p.name for p in folder.iterdir()} == {
            "scenario.yaml", "environment.json", "rounds.csv", "users.csv.gz", "summary.json", "plots",
        }  # fmt: skip
        assert scenario_file.load(folder / "scenario.yaml").seed == 1
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["versions"]["phe"]
        assert environment["users_per_actor"] == 1
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["status"] == "complete"
        assert summary["rounds"] == 3

    def test_rounds_start_at_zero_and_have_every_column(self, folder):
        rounds = pd.read_csv(folder / "rounds.csv")
        assert rounds["round"].tolist() == [0, 1, 2]
        assert {
            "round", "train_mse", "test_rmse", "protocol_s", "wall_s", "user_cpu_s_max",
            "user_decrypt_cpu_s_mean", "user_update_cpu_s_mean", "user_encrypt_cpu_s_mean", "server_cpu_s",
            "network_s_max", "basis", "slowest_download_s", "slowest_decrypt_s", "slowest_update_s",
            "slowest_encrypt_s", "slowest_upload_s", "user_actors",
            "upload_bytes_total", "download_bytes_total", "users",
        } <= set(rounds)  # fmt: skip
        assert (rounds["users"] == 7).all()

    def test_protocol_seconds_are_the_slowest_user_plus_the_server(self, folder):
        rounds, users = pd.read_csv(folder / "rounds.csv"), pd.read_csv(folder / "users.csv.gz")
        assert len(users) == 21
        parts = ["decrypt_cpu_s", "update_cpu_s", "encrypt_cpu_s", "network_s"]
        slowest = users[parts].sum(axis=1).groupby(users["round"]).max()
        assert rounds["protocol_s"].to_numpy() == pytest.approx(
            (slowest + rounds["server_cpu_s"]).to_numpy(),
            rel=1e-5,  # users' seconds have six digits
        )
        shown = ["slowest_download_s", "slowest_decrypt_s", "slowest_update_s", "slowest_encrypt_s",
                 "slowest_upload_s", "server_cpu_s"]  # fmt: skip
        assert rounds["protocol_s"].to_numpy() == pytest.approx(rounds[shown].sum(axis=1).to_numpy())
        assert (rounds["basis"] == "measured").all()
        seconds = users["download_bytes"] * 8e-9 + users["upload_bytes"] * 8e-9 / 0.5 + 2 * 0.01
        assert users["network_s"].to_numpy() == pytest.approx(seconds.to_numpy(), rel=1e-5)

    def test_bytes_are_those_of_the_wire(self, folder):
        users = pd.read_csv(folder / "users.csv.gz")
        # Twelve rows of one 1024-bit ciphertext, 256 bytes each; an uploaded row carries its number.
        assert (users["download_bytes"] == 12 * 256).all()
        assert (users["upload_bytes"] == users["upload_rows"] * (256 + 8)).all()

    def test_holds_nothing_but_known_keys_and_columns(self, folder):
        """What is not on these lists has been looked at by nobody."""
        users, rounds = pd.read_csv(folder / "users.csv.gz"), pd.read_csv(folder / "rounds.csv")
        assert set(users) == {
            "round", "user_id", "decrypt_cpu_s", "update_cpu_s", "encrypt_cpu_s", "network_s",
            "download_bytes", "upload_bytes", "upload_rows", "basis", "slowdown", "device_s",
        }  # fmt: skip
        assert not [column for column in rounds if any(w in column for w in ("vector", "rating", "key"))]
        summary = json.loads((folder / "summary.json").read_text())
        assert set(summary) == {"status", "rounds", "setup", "last_round", "wall_s"}
        assert set(summary["last_round"]) == set(rounds)
        assert set(summary["setup"]) == {"keys_cpu_s", "wall_s", "initial_train_mse"}


def one_actor(chosen):
    """All users of a scenario in one actor that has opened round 0, and the costs of training in it."""
    plan = Plan.of(chosen)
    _, key, _ = create_keys(plan.scheme, plan.matrices)
    actor = UserActor(plan.population.members(0, len(plan.population.user_ids)), plan.terms, plan.together)
    actor.set_up(key)
    actor.open_round(actor.encrypt_initial_items())
    return actor, actor.train(0, 0)[1]


def test_every_user_of_an_actor_is_charged_the_whole_decryption():
    actor, costs = one_actor(small())
    assert actor._decrypt_cpu_s > 0
    assert costs.decrypt_cpu_s.tolist() == [actor._decrypt_cpu_s] * 7


def test_updates_are_measured_alone_under_encryption_and_shared_by_ratings_in_plain_runs():
    for scheme, different in (("plain", 1), ("packed", 7)):
        actor, costs = one_actor(small(protocol__scheme=scheme))
        pairs = zip(costs.update_cpu_s, actor._users, strict=True)
        seconds_a_rating = {round(seconds / len(user.ratings.items), 15) for seconds, user in pairs}
        assert len(seconds_a_rating) == different


@pytest.mark.parametrize("learning_rate", [0.02, 0.6])
def test_no_rating_vector_or_step_reaches_the_run_folder(tmp_path, learning_rate, monkeypatch):
    """Ratings that can be recognised, trained vectors, steps: also when the run ends in an error."""
    table, seen = tmp_path / "r.csv", []
    pairs = itertools.product(range(4), range(5))
    table.write_text("user,item,rating\n" + "".join(f"{u},{700 + i},3.14159{u}{i}\n" for u, i in pairs))
    monkeypatch.setattr(
        "fedmf_ray.simulation.actors.update", lambda *a: seen.append([u.vector for u in a[0]]) or real(*a)
    )
    tree = yaml.safe_load(small(model__learning_rate=learning_rate, stop__rounds=9).to_yaml())
    tree |= {"ratings": {"source": "file", "path": str(table)}, "test": {"last": 1}}
    with contextlib.suppress(DivergenceError):
        run(scenario_file.parse(tree, "x.yaml"), tmp_path / "results", Silent())
    (folder,) = (tmp_path / "results" / "small").iterdir()
    files = [path for path in folder.rglob("*") if path.is_file()]
    raw = b"".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files)
    assert json.loads((folder / "summary.json").read_text())["status"] == (
        "complete" if learning_rate < 0.1 else "diverged"
    )
    assert b"3.14159" not in raw
    assert not re.search(rb"\b70[0-4]\b", raw)  # no item either
    for vector in itertools.chain.from_iterable(seen):
        assert vector.tobytes() not in raw
        assert not any(repr(float(entry)).encode() in raw for entry in vector)


def test_rows_are_on_disk_as_soon_as_their_round_ends(tmp_path):
    seen = []

    class Watch(Silent):
        def round(self, row, rounds):
            (path,) = tmp_path.glob("small/*/rounds.csv")
            seen.append(len(pd.read_csv(path)))

    run(small(), tmp_path, Watch())
    assert seen == [1, 2, 3]


def test_the_server_actor_never_holds_a_key_a_rating_or_a_vector():
    plan = Plan.of(small())
    evaluator, key, _ = create_keys(plan.scheme, plan.matrices)
    users = UserActor(plan.population.members(0, 7), plan.terms, plan.together)
    users.set_up(key)
    items = users.encrypt_initial_items()
    users.open_round(items)
    server = ServerActor(evaluator, items, plan.population.user_ids)
    vectors = [user.vector for user in users._users]
    uploads, _ = users.train(0, 0)
    server.receive(uploads)
    state = pickle.dumps(server)
    assert int(key._key.n).to_bytes(128, "little") in state  # the search finds what is there
    for prime in (key._key.p, key._key.q):
        assert int(prime).to_bytes(64, "little") not in state
    for user, before in zip(users._users, vectors, strict=True):
        for secret in (before, user.vector, user.ratings.values):
            assert secret.tobytes() not in state


def test_stops_when_converged(tmp_path):
    folder = run(small(stop={"rounds": 50, "tolerance": 0.05}), tmp_path, Silent())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "converged"
    assert 1 < summary["rounds"] < 50


def test_divergence_is_named_and_leaves_the_sound_rounds(tmp_path):
    with pytest.raises(DivergenceError, match="learning_rate"):
        run(small(model__learning_rate=0.05, stop__rounds=60), tmp_path, Silent())
    (folder,) = tmp_path.glob("small/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "diverged"
    assert "learning_rate" in summary["reason"]
    assert not re.search(r"user|item \d", summary["reason"])  # who stepped where is private
    assert len(pd.read_csv(folder / "rounds.csv")) == summary["rounds"] > 0


def test_divergence_in_a_ray_actor_reads_the_same(tmp_path, local_ray):
    cluster = {"backend": "ray", "users_per_actor": 3}
    with pytest.raises(DivergenceError, match=r"^(user|round) \d+, item \d+: .*learning_rate") as caught:
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


class TestBadInputLeavesNothingBehind:
    def check(self, tmp_path, chosen, match):
        results = tmp_path / "results"
        with pytest.raises(FedMFError, match=match) as caught:
            run(chosen, results, Silent())
        assert "\n" not in str(caught.value)
        assert not results.exists()

    def test_a_cluster_that_cannot_be_reached(self, tmp_path, monkeypatch):
        monkeypatch.setattr("ray.is_initialized", lambda: False)
        chosen = small(cluster={"address": "127.0.0.1:1"})
        self.check(tmp_path, chosen, "Ray at '127.0.0.1:1' cannot be reached")

    def test_too_little_memory_for_the_actors(self, tmp_path, monkeypatch, local_ray):
        monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0, "memory": 500e6})
        chosen = small(cluster={"backend": "ray"})
        self.check(tmp_path, chosen, r"7 user actors and a server need about 0.7 GB .*\.users_per_actor to 2")

    @pytest.mark.parametrize("backend", ["serial", "ray"])
    def test_an_initial_matrix_over_its_bound(self, tmp_path, local_ray, backend):
        chosen = small(model__init_scale=100.0, cluster={"backend": backend, "users_per_actor": 4})
        self.check(tmp_path, chosen, "the initial item matrix: .*lower model.init_scale")

    def test_more_held_out_than_there_are_items(self, tmp_path):
        self.check(tmp_path, small(test={"last": 12}), "ratings.items: 12 items are too few: a user needs 13")

    def test_users_left_without_training_ratings(self, tmp_path):
        table = tmp_path / "r.csv"
        table.write_text("user,item,rating\n1,1,3\n1,2,4\n2,1,5\n")
        tree = yaml.safe_load(small(test={"last": 1}).to_yaml())
        tree["ratings"] = {"source": "file", "path": str(table)}
        self.check(tmp_path, scenario_file.parse(tree, "x.yaml"), "user 2 ")

    def test_a_results_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(FedMFError, match="cannot be written"):
            run(small(), tmp_path / "file" / "results", Silent())
