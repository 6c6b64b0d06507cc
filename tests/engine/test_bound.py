"""A checkpoint belongs to one run folder, one scenario and the rows before it: none goes on with others."""

import gzip
import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.storage.ownership import Busy, held
from tests.support.small_runs import losses_of, small

PLAIN = {"protocol__scheme": "plain", "ratings__users": 4, "cluster__users_per_actor": 2}


@pytest.fixture
def ended(tmp_path):
    """A run of four rounds that may go on, and the same with six."""
    whole = run(small(**PLAIN, stop__rounds=6), tmp_path / "whole", Silent())
    folder = run(small(**PLAIN, stop__rounds=4, cluster__checkpoint_every=1), tmp_path / "run", Silent())
    return folder, whole


def refused(folder, match):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(FedMFError, match=match) as caught:
        resume(folder, Silent(), ["stop.rounds=6"])
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


class TestSettings:
    @pytest.mark.parametrize(
        ("section", "key", "value"),
        [
            ("model", "reg_user", 0.3),
            ("model", "learning_rate", 0.021),
            ("protocol", "min_raters", 2),
            ("protocol", "part_text_sparsity", 0.5),
            ("participation", "share", 0.5),
            ("network", "latency_s", 1.0),
            ("ratings", "sparsity", 0.4),
            ("metrics", "top_k", 3),
        ],
    )
    def test_an_edited_scenario_is_refused_by_its_key(self, ended, section, key, value):
        folder, _ = ended
        tree = yaml.safe_load((folder / "scenario.yaml").read_text())
        tree[section][key] = value
        (folder / "scenario.yaml").write_text(yaml.safe_dump(tree))
        refused(
            folder, rf"scenario.yaml: {section}.{key}: is {value}, the run was started with .*put that back"
        )

    def test_another_version_is_refused(self, ended, monkeypatch):
        monkeypatch.setattr("fedmf_ray.storage.settings.__version__", "99.0")
        refused(ended[0], r"written by fedmf-ray 0.1.0, this is 99.0: finish the run with that version")

    def test_a_user_who_has_left_the_file_is_missed(self, tmp_path):
        """Everybody else's ratings are what they were."""
        table = tmp_path / "r.csv"
        table.write_text("user,item,rating\n" + "".join(f"{u},{i},3\n" for u in range(4) for i in range(4)))
        tree = {"source": "file", "path": str(table)}
        folder = run(small(ratings=tree, test={}, protocol__scheme="plain"), tmp_path / "results", Silent())
        table.write_text("".join(line for line in table.open() if not line.startswith("3,")))
        with pytest.raises(FedMFError, match="the ratings have changed since"):
            resume(folder, Silent(), ["stop.rounds=6"])


def cut(content):
    return content[:-7]


def edited(content):
    return content.replace(b"0.", b"1.", 1)


def twice(content):
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:-1], lines[-2], lines[-1]])


def swapped(content):
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:2], lines[3], lines[2], *lines[4:]])


class TestRows:
    @pytest.mark.parametrize("harm", [cut, edited, twice, swapped, lambda _: b"", None])
    @pytest.mark.parametrize("name", ["rounds.csv", "users.csv.gz"])
    def test_that_were_changed_are_repaired_or_refused(self, ended, name, harm):
        folder, whole = ended
        content = (folder / name).read_bytes()
        if harm is None:
            (folder / name).unlink()
        else:
            text = harm(gzip.decompress(content) if name.endswith("gz") else content)
            (folder / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        reason = ""
        try:
            resume(folder, Silent(), ["stop.rounds=6"])
        except FedMFError as error:
            reason = str(error)
        if reason:
            assert f"{folder / name}: " in reason
            assert "\n" not in reason
        else:
            assert losses_of(folder).equals(losses_of(whole))

    @pytest.mark.parametrize("name", ["rounds.csv", "users.csv.gz"])
    def test_the_latest_that_is_lost_is_computed_again(self, ended, name):
        folder, whole = ended
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) - 9])
        resume(folder, Silent(), ["stop.rounds=6"])
        assert losses_of(folder).equals(losses_of(whole))
        assert len(pd.read_csv(folder / "users.csv.gz")) == 6 * 4

    def test_are_on_disk_before_their_checkpoint_counts(self, tmp_path, monkeypatch):
        synced, real = [], os.fsync

        def watch(descriptor):
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
            real(descriptor)

        monkeypatch.setattr(os, "fsync", watch)
        run(small(**PLAIN, stop__rounds=2, cluster__checkpoint_every=1), tmp_path, Silent())
        for number in (1, 2):
            at = next(at for at, name in enumerate(synced) if name.startswith(f".{number:08}."))
            before = [name for name in synced[:at] if name in ("rounds.csv", "users.csv.gz")]
            assert before == ["rounds.csv", "users.csv.gz"] * number

    def test_that_somebody_else_writes_end_the_run(self, tmp_path):
        class Second(Silent):
            def round(self, row, rounds):
                (path,) = tmp_path.glob("small/*/rounds.csv")
                path.write_text(path.read_text() + "7,7\n")

        with pytest.raises(FedMFError, match=r"rounds.csv: has .* bytes .*: somebody else has changed it"):
            run(small(**PLAIN), tmp_path, Second())


class TestParts:
    @pytest.mark.parametrize("part", ["users", "server"])
    def test_of_different_rounds_never_mix(self, ended, part):
        """Whole files, each with a right checksum: the one that belongs to its list is gone on with."""
        folder, whole = ended
        state = checkpoints_of(folder, small()).folder
        shutil.copy(state / part / "00000003-00000", state / part / "00000004-00000")
        resume(folder, Silent(), ["stop.rounds=6"])
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert [(event["event"], event["round"]) for event in events] == [
            ("checkpoint_unreadable", 4),
            ("resumed", 3),
        ]
        assert f"round 3 {part} 0" in events[0]["reason"]
        assert losses_of(folder).equals(losses_of(whole))

    def test_every_bit_of_a_list_counts(self, ended):
        folder, _ = ended
        checkpoints = checkpoints_of(folder, small())
        path = checkpoints.folder / "00000004"
        content = path.read_bytes()
        for at in range(0, 8 * len(content), 97):
            harmed = bytearray(content)
            harmed[at // 8] ^= 1 << at % 8
            path.write_bytes(harmed)
            assert [checkpoint.round for checkpoint in checkpoints.readable()] == [3]

    def test_of_another_run_are_refused(self, ended, tmp_path):
        folder, _ = ended
        other = run(small(**PLAIN, stop__rounds=4, cluster__checkpoint_every=1), tmp_path, Silent())
        states = [checkpoints_of(path, small()).folder for path in (folder, other)]
        shutil.copy(states[1] / "users" / "key", states[0] / "users" / "key")
        with pytest.raises(FedMFError, match=r"users/key: is not 'small/.* key', which belongs here"):
            resume(folder, Silent(), ["stop.rounds=6"])


class TestIdentity:
    def test_a_copy_is_refused_and_a_moved_folder_goes_on(self, ended, tmp_path):
        folder, whole = ended
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        refused(copy, f"{copy}: is a copy of {folder}, to which the checkpoints belong")
        shutil.rmtree(copy)
        moved = folder.rename(tmp_path / "moved")
        resume(moved, Silent(), ["stop.rounds=6"])
        assert losses_of(moved).equals(losses_of(whole))

    def test_checkpoints_of_another_run_are_refused(self, ended, tmp_path):
        folder, whole = ended
        tree = json.loads((folder / "environment.json").read_text())
        tree["checkpoints"] = json.loads((whole / "environment.json").read_text())["checkpoints"]
        (folder / "environment.json").write_text(json.dumps(tree))
        refused(folder, "no checkpoint to go on from|is a copy of")

    @pytest.mark.parametrize(
        "name", ["../../{0}", "{0}", "small/..", "small/../../x", 7, ["a"], None, "a/b/c"]
    )
    def test_a_name_that_leads_elsewhere_is_refused(self, ended, tmp_path, name):
        folder, _ = ended
        tree = json.loads((folder / "environment.json").read_text())
        tree["checkpoints"] = name.format(tmp_path) if isinstance(name, str) else name
        (folder / "environment.json").write_text(json.dumps(tree))
        refused(folder, "environment.json: checkpoints: .* is no name of a run's checkpoints")

    def test_a_link_in_a_run_folder_is_refused(self, ended, tmp_path):
        folder, _ = ended
        shutil.rmtree(folder / "plots")
        (folder / "plots").symlink_to(tmp_path)
        refused(folder, "plots: is a link")


class TestLock:
    def test_one_process_works_on_a_run(self, ended):
        folder, whole = ended
        state = checkpoints_of(folder, small()).folder
        with held(state, folder):
            refused(folder, "another process is at work on it")
        resume(folder, Silent(), ["stop.rounds=6"])
        assert losses_of(folder).equals(losses_of(whole))

    def test_a_finished_run_says_so_and_is_not_cut_short(self, tmp_path):
        folder, said = run(small(**PLAIN, stop__rounds=4), tmp_path, Silent()), []

        class Noting(Silent):
            def note(self, text):
                said.append(text)

        resume(folder, Noting())
        assert "all 4 rounds are there: stop.rounds=8, for instance, goes on" in said
        before = (folder / "scenario.yaml").read_bytes()
        with pytest.raises(FedMFError, match="has 4 rounds already, and stop.rounds=3 are fewer"):
            resume(folder, Silent(), ["stop.rounds=3"])
        assert (folder / "scenario.yaml").read_bytes() == before
        with pytest.raises(FedMFError, match="is no run folder"):
            resume(tmp_path, Silent())

    def test_of_two_resumes_at_once_one_goes_on(self, tmp_path, root):
        folder = run(small(**PLAIN, stop__rounds=4), tmp_path, Silent())
        words = [sys.executable, "-m", "fedmf_ray", "resume", str(folder), "stop.rounds=400"]
        both = [
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
            for _ in range(2)
        ]
        screens = [process.communicate(timeout=120)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        assert losses_of(folder)["round"].tolist() == list(range(400))
        if codes != [0, 0]:  # else the second began when the first had ended
            assert codes == [0, 2]
            assert any("another process is at work on it" in screen for screen in screens)

    def test_is_free_again_when_its_holder_is_dead(self, tmp_path):
        state = tmp_path / "small" / "one"
        program = (
            "import os, sys; from pathlib import Path; from fedmf_ray.storage.ownership import held\n"
            "with held(Path(sys.argv[1]), Path('/x')): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", program, str(state)], check=False)
        assert (state / "owner").is_file()
        with held(state, tmp_path), pytest.raises(Busy), held(state, tmp_path):
            pass
