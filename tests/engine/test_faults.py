"""Processes die, disks fill, files rot: time is lost, results are not."""

import errno
import json
import os
import time

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoints import Checkpoint, Checkpoints
from tests.support.faults import LOSSES, FaultyBackend, random_faults, train
from tests.support.small_runs import small

ON_RAY = {
    "cluster__backend": "ray",
    "cluster__users_per_actor": 4,
    "cluster__server_shards": 2,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 5,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """V and losses of the scenario of these tests when nothing happens, in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(small(**ON_RAY | {"cluster__backend": "serial"}), SerialBackend(), folder)


def check(result, undisturbed):
    assert np.array_equal(result[0], undisturbed[0])
    assert result[1] == undisturbed[1]


class TestProcessesThatDie:
    @pytest.mark.parametrize("every", ["auto", 3])
    def test_in_every_phase_of_a_run(self, local_ray, tmp_path, undisturbed, every):
        """Two user actors, two servers, six of them killed while they train, add, publish, open and save."""
        faults = [
            ("train", 2, "UserActor"),
            ("merge", 6, "ServerActor"),
            ("publish", 5, "ServerActor"),
            ("read_share", 8, "UserActor"),
            ("open_round", 12, "UserActor"),
            ("save", 6, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        result = train(small(**ON_RAY, cluster__checkpoint_every=every), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 6
        handled = [event for event, _ in result[2]]
        assert {"user_actor_died", "server_died"} <= set(handled)

    def test_where_every_upload_goes_to_the_servers_by_itself(self, local_ray, tmp_path, undisturbed):
        faults = [
            ("receive", 6, "ServerActor"),
            ("train", 14, "UserActor"),
            ("receive", 40, "UserActor"),
            ("publish", 8, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        single = ON_RAY | {"cluster__users_per_actor": 1}
        result = train(small(**single), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 4

    def test_without_checkpoints_a_dead_process_ends_the_run_with_a_word(self, local_ray, tmp_path):
        backend = FaultyBackend([("train", 2, "UserActor")])
        with pytest.raises(FedMFError, match="a Ray worker died .*checkpoint_every"):
            train(small(**ON_RAY, cluster__checkpoint_every="never"), backend, tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_at_random_moments(self, local_ray, tmp_path, undisturbed, seed):
        together = seed % 2 == 0
        calls = {"train": 2, "merge": 4, "publish": 2, "read_share": 2, "open_round": 2, "save": 2}
        if not together:
            calls = {"train": 8, "receive": 16, "publish": 2, "read_share": 2, "open_round": 8, "save": 8}
        faults = random_faults(seed, 6, 5, calls)
        backend = FaultyBackend(faults, seed)
        chosen = small(**ON_RAY | {"cluster__users_per_actor": 4 if together else 1})
        check(train(chosen, backend, tmp_path), undisturbed)
        assert len(backend.killed) >= 4, "some victims were dead already, most were not"


@pytest.fixture
def interrupted(tmp_path):
    """A run that was stopped in its third round, its checkpoints, and its undisturbed twin."""
    whole = run(small(stop__rounds=6), tmp_path / "whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        run(small(stop__rounds=6), tmp_path / "cut", StopsIn(3))
    (folder,) = (tmp_path / "cut" / "small").iterdir()
    return folder, checkpoints_of(folder, small()), whole


class StopsIn(Silent):
    """Presses Ctrl-C while users train in a round."""

    def __init__(self, rounds):
        self._left = rounds

    def round(self, row, rounds):
        self._left -= 1

    def users(self, done, total):
        if self._left == 0 and done > 2:
            raise KeyboardInterrupt


def rows(folder, columns=LOSSES):
    return pd.read_csv(folder / "rounds.csv")[["round", *columns]]


class TestResume:
    def test_goes_on_as_if_nothing_had_happened(self, interrupted):
        folder, checkpoints, whole = interrupted
        summary = json.loads((folder / "summary.json").read_text())
        assert (summary["status"], summary["rounds"]) == ("interrupted", 3)
        assert next(checkpoints.sound()).round == 3
        assert resume(folder, Silent()) == folder
        assert rows(folder).equals(rows(whole))
        assert len(pd.read_csv(folder / "users.csv.gz")) == 6 * 7
        summary = json.loads((folder / "summary.json").read_text())
        assert (summary["status"], summary["rounds"]) == ("complete", 6)
        assert json.loads((folder / "environment.json").read_text())["earlier"][0]["users"] == 7
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert [(event["event"], event["round"]) for event in events] == [("resumed", 3)]

    @pytest.mark.parametrize("changes", [{"cluster.users_per_actor": 3}, {"cluster.users_per_actor": "auto"}])
    def test_elsewhere_with_users_grouped_otherwise(self, interrupted, changes):
        folder, _, whole = interrupted
        resume(folder, Silent(), [f"{key}={value}" for key, value in changes.items()])
        assert rows(folder).equals(rows(whole))

    def test_a_finished_run_goes_on_for_more_rounds(self, tmp_path):
        folder = run(small(stop__rounds=2), tmp_path, Silent())
        resume(folder, Silent(), ["stop.rounds=4"])
        assert rows(folder).equals(rows(run(small(stop__rounds=4), tmp_path, Silent())))

    def test_decoys_stay_the_same(self, tmp_path):
        """Fresh ones after a break would fall to comparing rounds."""
        chosen = small(stop__rounds=2, protocol__part_text_sparsity=0.4)
        folder = run(chosen, tmp_path, Silent())
        checkpoints = checkpoints_of(folder, chosen)
        before = checkpoint_files.load(checkpoints.users_path(2, 0))
        resume(folder, Silent(), ["stop.rounds=3"])
        after = checkpoint_files.load(checkpoints.users_path(3, 0))
        assert len(before["decoys"]) > 0
        assert np.array_equal(before["decoys"], after["decoys"])

    @pytest.mark.parametrize("harm", ["truncated", "flipped", "gone"])
    @pytest.mark.parametrize("part", ["users", "server", "list"])
    def test_a_damaged_checkpoint_is_found_and_the_one_before_it_used(self, tmp_path, harm, part):
        folder = run(small(stop__rounds=3), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        newest, before = (checkpoint.round for checkpoint in checkpoints.sound())
        path = {
            "users": checkpoints.users_path(newest, 2),
            "server": checkpoints.items_path(newest, 0),
            "list": checkpoints.folder / f"{newest:08}",
        }[part]
        content = bytearray(path.read_bytes())
        if harm == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif harm == "gone":
            path.unlink()
        else:
            content[-len(content) // 3] ^= 1
            path.write_bytes(content)
        resume(folder, Silent(), ["stop.rounds=5"])
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert events[-1]["event"] == "resumed"
        assert events[-1]["round"] == before
        whole = run(small(stop__rounds=5), tmp_path / "whole", Silent())
        assert rows(folder).equals(rows(whole))

    def test_a_key_that_is_gone_is_an_error_not_a_new_key(self, interrupted):
        folder, checkpoints, _ = interrupted
        checkpoints.key_path.unlink()
        with pytest.raises(FedMFError, match="key"):
            resume(folder, Silent())

    def test_other_ratings_are_refused(self, tmp_path):
        table = tmp_path / "r.csv"
        table.write_text("user,item,rating\n" + "".join(f"{u},{i},3\n" for u in range(3) for i in range(4)))
        tree = {"source": "file", "path": str(table)}
        folder = run(small(ratings=tree, test={}), tmp_path / "results", Silent())
        table.write_text(table.read_text().replace("1,1,3", "1,1,4"))
        with pytest.raises(FedMFError, match="the ratings have changed"):
            resume(folder, Silent(), ["stop.rounds=5"])

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("model.learning_rate=1", "only keys of stop and cluster may change"),
            ("cluster.server_shards=2", "was saved with 1"),
            ("cluster.checkpoint_folder=/nowhere", "no checkpoint to go on from"),
            ("cluster.checkpoint_every=never", "without checkpoints"),
        ],
    )
    def test_what_would_change_results_is_refused(self, interrupted, word, message):
        with pytest.raises(FedMFError, match=message):
            resume(interrupted[0], Silent(), [word])

    def test_a_row_that_was_half_written_is_dropped(self, interrupted):
        folder, _, whole = interrupted
        for name in ("rounds.csv", "users.csv.gz"):
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content + content[: len(content) // 7])
        resume(folder, Silent())
        assert rows(folder).equals(rows(whole))
        assert len(pd.read_csv(folder / "users.csv.gz")) == 6 * 7


class TestCheckpoints:
    def test_private_files_are_the_owners_alone_and_not_in_the_run_folder(self, tmp_path):
        folder = run(small(), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        assert not checkpoints.folder.is_relative_to(folder)
        files = [path for path in checkpoints.folder.rglob("*") if path.is_file()]
        assert {path.parent.name for path in files} >= {"users", "server"}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert checkpoints.key_path.parent.stat().st_mode & 0o777 == 0o700
        primes = checkpoint_files.load(checkpoints.key_path)["primes"]
        for path in (checkpoints.folder / "server").iterdir():
            assert not any(prime.tobytes().rstrip(b"\0") in path.read_bytes() for prime in primes)

    def test_two_are_kept(self, tmp_path):
        folder = run(small(stop__rounds=5, cluster__checkpoint_every=1), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        assert [checkpoint.round for checkpoint in checkpoints.sound()] == [5, 4]
        assert len(list((checkpoints.folder / "users").iterdir())) == 2 * 7 + 1

    def test_a_full_disk_costs_the_checkpoint_not_the_run(self, tmp_path, monkeypatch):
        whole = run(small(stop__rounds=4), tmp_path, Silent())
        real, calls = os.fsync, []

        def full(descriptor):
            calls.append(descriptor)
            if 30 < len(calls) < 60:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        folder = run(small(stop__rounds=4, cluster__checkpoint_every=1), tmp_path, Silent())
        assert rows(folder).equals(rows(whole))
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert {event["event"] for event in events} == {"checkpoint_failed"}
        assert all("No space left on device" in event["reason"] for event in events)
        monkeypatch.undo()
        assert not list(checkpoints_of(folder, small()).folder.rglob(".*")), "nothing is half written"
        resume(folder, Silent(), ["stop.rounds=5"])
        assert len(rows(folder)) == 5

    def test_auto_spends_four_per_cent_at_most_whatever_the_wall_clock_does(self, tmp_path, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        monkeypatch.setattr(time, "time", lambda: -1e9)
        checkpoints = Checkpoints(tmp_path, "auto")
        assert checkpoints.due(0, last=False)
        checkpoints.commit(Checkpoint(0, [(0, 7)], 1), cost_s=0.5)
        now[0] += 24.9  # two of them take a second, 4 % of 25 s
        assert not checkpoints.due(1, last=False)
        assert checkpoints.due(1, last=True)
        assert checkpoints.due(64, last=False)
        now[0] += 0.2
        assert checkpoints.due(1, last=False)

    def test_a_fixed_number_of_rounds_is_kept_to(self, tmp_path):
        checkpoints = Checkpoints(tmp_path, 3)
        checkpoints.commit(Checkpoint(0, [(0, 7)], 1), cost_s=0.5)
        assert [checkpoints.due(number, last=False) for number in (1, 2, 3)] == [False, False, True]
