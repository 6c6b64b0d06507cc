"""A run's folder: what it promises, nothing private, and nothing at all after bad input."""

import contextlib
import gzip
import itertools
import json
import re

import pandas as pd
import pytest
import yaml

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.protocol.user import Users
from fedmf_ray.scenario import file as scenario_file
from tests.support.small_runs import small


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
            (slowest + rounds["server_cpu_s"] + rounds["seal_s"]).to_numpy(),
            rel=1e-5,  # users' seconds have six digits
        )
        shown = ["slowest_download_s", "slowest_decrypt_s", "slowest_update_s", "slowest_encrypt_s",
                 "slowest_upload_s", "server_cpu_s", "seal_s"]  # fmt: skip
        assert rounds["protocol_s"].to_numpy() == pytest.approx(rounds[shown].sum(axis=1).to_numpy())
        assert (rounds["basis"] == "measured").all()
        seconds = users["download_bytes"] * 8e-9 + users["upload_bytes"] * 8e-9 / 0.5 + 2 * 0.01
        assert users["network_s"].to_numpy() == pytest.approx(seconds.to_numpy(), rel=1e-5)

    def test_bytes_are_those_of_the_wire(self, folder):
        users = pd.read_csv(folder / "users.csv.gz")
        # A block is a 1024-bit ciphertext of 256 bytes. One that is uploaded carries its number, and all of
        # them a tag with a nonce; one that is read, a seal. The token has two numbers of 128 bytes.
        token = 3 * 32 + 2 * 128 + 28
        assert (users["download_bytes"] == users["upload_blocks"] * (256 + 16) + token).all()
        assert (users["upload_bytes"] == users["upload_blocks"] * (256 + 8) + 256 + 8).all()
        assert (users["upload_blocks"] <= users["upload_rows"]).all()

    def test_holds_nothing_but_known_keys_and_columns(self, folder):
        """What is not on these lists has been looked at by nobody."""
        users, rounds = pd.read_csv(folder / "users.csv.gz"), pd.read_csv(folder / "rounds.csv")
        assert set(users) == {
            "round", "user_id", "decrypt_cpu_s", "update_cpu_s", "encrypt_cpu_s", "network_s",
            "download_bytes", "upload_bytes", "upload_rows", "upload_blocks", "basis", "slowdown", "device_s",
        }  # fmt: skip
        assert not [column for column in rounds if any(w in column for w in ("vector", "rating", "key"))]
        summary = json.loads((folder / "summary.json").read_text())
        assert set(summary) == {"status", "rounds", "setup", "last_round", "checkpoints", "wall_s"}
        assert set(summary["last_round"]) == set(rounds)
        assert set(summary["setup"]) == {"keys_cpu_s", "wall_s", "initial_train_mse"}


@pytest.mark.parametrize("learning_rate", [0.02, 0.6])
def test_no_rating_vector_or_step_reaches_the_run_folder(tmp_path, learning_rate, monkeypatch):
    """Ratings that can be recognised, trained vectors, steps: also when the run ends in an error."""
    table, seen = tmp_path / "r.csv", []
    pairs = itertools.product(range(4), range(5))
    table.write_text("user,item,rating\n" + "".join(f"{u},{700 + i},3.14159{u}{i}\n" for u, i in pairs))
    real = Users.update
    monkeypatch.setattr(Users, "update", lambda *a: seen.append(list(a[0].vectors.copy())) or real(*a))
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
        self.check(tmp_path, chosen, r"7 user actors and a server need about 0.. GB .*\.users_per_actor to 2")

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
