"""Checkpoints: when they are written, who can read them, and what a full disk costs."""

import errno
import json
import os
import time

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoints import Checkpoint, Checkpoints
from tests.support.small_runs import losses_of, small


class TestCheckpoints:
    def test_private_files_are_the_owners_alone_and_not_in_the_run_folder(self, tmp_path):
        folder = run(small(), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        assert not checkpoints.folder.is_relative_to(folder)
        files = [path for path in checkpoints.folder.rglob("*") if path.is_file()]
        assert {path.parent.name for path in files} >= {"users", "server"}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert checkpoints.key_path.parent.stat().st_mode & 0o777 == 0o700
        primes = checkpoint_files.load(checkpoints.key)["primes"]
        for path in (checkpoints.folder / "server").iterdir():
            assert not any(prime.tobytes().rstrip(b"\0") in path.read_bytes() for prime in primes)

    def test_two_are_kept(self, tmp_path):
        folder = run(small(stop__rounds=5, cluster__checkpoint_every=1), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        assert [checkpoint.round for checkpoint in checkpoints.readable()] == [5, 4]
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
        assert losses_of(folder).equals(losses_of(whole))
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert {event["event"] for event in events} == {"checkpoint_failed"}
        assert all("No space left on device" in event["reason"] for event in events)
        monkeypatch.undo()
        assert not list(checkpoints_of(folder, small()).folder.rglob(".*")), "nothing is half written"
        resume(folder, Silent(), ["stop.rounds=5"])
        assert len(losses_of(folder)) == 5

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
        now[0] += 3.0
        assert checkpoints.due(1, last=False)

    def test_a_fixed_number_of_rounds_is_kept_to(self, tmp_path):
        checkpoints = Checkpoints(tmp_path, 3)
        checkpoints.commit(Checkpoint(0, [(0, 7)], 1), cost_s=0.5)
        assert [checkpoints.due(number, last=False) for number in (1, 2, 3)] == [False, False, True]
