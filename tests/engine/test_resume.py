"""Runs that were stopped go on as if nothing had happened, or say why they cannot."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.storage import checkpoint_files
from tests.support.small_runs import losses_of, small


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


class TestResume:
    def test_goes_on_as_if_nothing_had_happened(self, interrupted):
        folder, checkpoints, whole = interrupted
        summary = json.loads((folder / "summary.json").read_text())
        assert (summary["status"], summary["rounds"]) == ("interrupted", 3)
        assert next(checkpoints.readable()).round == 3
        assert resume(folder, Silent()) == folder
        assert losses_of(folder).equals(losses_of(whole))
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
        assert losses_of(folder).equals(losses_of(whole))

    def test_a_finished_run_goes_on_for_more_rounds(self, tmp_path):
        folder = run(small(stop__rounds=2), tmp_path, Silent())
        resume(folder, Silent(), ["stop.rounds=4"])
        assert losses_of(folder).equals(losses_of(run(small(stop__rounds=4), tmp_path, Silent())))

    def test_decoys_stay_the_same(self, tmp_path):
        """Fresh ones after a break would fall to comparing rounds."""
        chosen = small(stop__rounds=2, protocol__part_text_sparsity=0.4)
        folder = run(chosen, tmp_path, Silent())
        checkpoints = checkpoints_of(folder, chosen)
        before = checkpoint_files.load(checkpoints.users(2, 0))
        resume(folder, Silent(), ["stop.rounds=3"])
        after = checkpoint_files.load(checkpoints.users(3, 0))
        assert len(before["decoys"]) > 0
        assert np.array_equal(before["decoys"], after["decoys"])

    @pytest.mark.parametrize("harm", ["truncated", "flipped", "gone"])
    @pytest.mark.parametrize("part", ["users", "server", "list"])
    def test_a_damaged_checkpoint_is_found_and_the_one_before_it_used(self, tmp_path, harm, part):
        folder = run(small(stop__rounds=3), tmp_path, Silent())
        checkpoints = checkpoints_of(folder, small())
        newest, before = (checkpoint.round for checkpoint in checkpoints.readable())
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
        assert losses_of(folder).equals(losses_of(whole))

    @pytest.mark.parametrize("scheme", ["packed", "plain"])
    @pytest.mark.parametrize("backend", ["serial", "ray"])
    def test_a_checkpoint_of_an_earlier_version_is_refused_in_a_line(
        self, tmp_path, local_ray, scheme, backend
    ):
        chosen = small(protocol__scheme=scheme)
        folder = run(chosen, tmp_path, Silent())
        checkpoints = checkpoints_of(folder, chosen)
        for path in (*checkpoints.folder.glob("users/*"), *checkpoints.folder.glob("server/*")):
            payload = path.read_bytes().partition(b"\n")[2][32:]
            path.write_bytes(b"fedmf-ray checkpoint 1\n" + hashlib.sha256(payload).digest() + payload)
        if scheme == "plain":
            checkpoints.key_path.unlink()  # the version before wrote none where nothing is secret
        before = losses_of(folder)
        words = ["stop.rounds=5", f"cluster.backend={backend}", "cluster.users_per_actor=7"]
        with pytest.raises(FedMFError, match="was written by an earlier version of fedmf-ray") as caught:
            resume(folder, Silent(), words)
        assert "\n" not in str(caught.value)
        assert str(checkpoints.folder) in str(caught.value)
        assert "run the scenario again, or finish it with that version" in str(caught.value)
        assert losses_of(folder).equals(before)

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
        assert losses_of(folder).equals(losses_of(whole))
        assert len(pd.read_csv(folder / "users.csv.gz")) == 6 * 7
