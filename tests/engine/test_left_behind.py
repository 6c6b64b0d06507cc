"""What a run leaves when something goes wrong around it: no key without a run, one line, whole files."""

import errno
import json
import os
import shutil

import pytest
from click.testing import CliRunner

from fedmf_ray import files
from fedmf_ray.cli.main import cli
from fedmf_ray.engine import run as runs
from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run, run_into
from fedmf_ray.errors import FedMFError
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.ownership import held, is_state, owner_of
from tests.support.mortal import CTRL_C, MortalBackend
from tests.support.small_runs import losses_of, small

PLAIN = {"protocol__scheme": "plain", "ratings__users": 4, "cluster__users_per_actor": 2}


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def left(state):
    return [path for path in state.rglob("*") if path.is_file()]


class TestSetUp:
    def test_that_is_interrupted_leaves_nothing(self, state, tmp_path, monkeypatch):
        backend = MortalBackend({})
        monkeypatch.setattr(runs, "open_backend", lambda _: backend)
        run(small(**PLAIN), tmp_path / "results", Silent())
        calls = next(at for at, (method, _) in enumerate(backend.made) if method == "train")
        shutil.rmtree(state)
        seen = 0
        for call in range(calls):
            ended = MortalBackend({call: CTRL_C})
            monkeypatch.setattr(runs, "open_backend", lambda _, ended=ended: ended)
            with pytest.raises(KeyboardInterrupt):
                run(small(**PLAIN), tmp_path / str(call), Silent())
            if not list(tmp_path.glob(f"{call}/small/*")):
                assert left(state) == []
                seen += 1
        assert seen > 5

    def test_a_folder_whose_name_is_too_long_is_refused_first(self, state, tmp_path):
        with pytest.raises(FedMFError, match="results cannot be written here: File name too long; use --res"):
            run(small(**PLAIN), tmp_path / ("a" * 300), Silent())
        with pytest.raises(FedMFError, match="cannot be written: File name too long"):
            run_into(tmp_path / ("a" * 300), small(**PLAIN), Silent())
        assert left(state) == []

    @pytest.mark.parametrize("folder", ["~there-is-no-such-user/x", "relative/x"])
    def test_a_state_folder_that_is_nowhere_is_refused(self, monkeypatch, tmp_path, folder):
        with pytest.raises(FedMFError, match="cluster.checkpoint_folder: .* is no absolute path"):
            run(small(**PLAIN, cluster__checkpoint_folder=folder), tmp_path, Silent())
        monkeypatch.setenv("FEDMF_STATE", "~there-is-no-such-user/x")
        with pytest.raises(FedMFError, match="FEDMF_STATE: .*: nobody has this name"):
            run(small(**PLAIN), tmp_path, Silent())

    def test_that_is_refused_leaves_nothing(self, state, tmp_path):
        with pytest.raises(FedMFError, match="the initial item matrix"):
            run(small(model__init_scale=100.0), tmp_path / "results", Silent())
        assert left(state) == []
        assert not (tmp_path / "results").exists()

    def test_whose_folder_cannot_be_made_leaves_nothing(self, state, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "thesis.tex").write_text("mine")
        with pytest.raises(FedMFError, match="run: cannot be written"):
            runs.run_into(tmp_path / "run", small(**PLAIN), Silent())
        assert left(state) == []
        assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == ["run"]

    @pytest.mark.parametrize("inside", ["checkpoints", "small/x", "."])
    def test_with_checkpoints_among_the_results_is_refused(self, tmp_path, inside):
        chosen = small(cluster__checkpoint_folder=str(tmp_path / "results" / inside))
        with pytest.raises(FedMFError, match=r"cluster.checkpoint_folder: .* is inside the results"):
            run(chosen, tmp_path / "results", Silent())
        assert not (tmp_path / "results").exists()


class Removes(Silent):
    """Somebody removes a folder after a round, the second at first."""

    def __init__(self, folder, number=1):
        self._folder, self._number, self.notes = folder, number, []

    def note(self, text):
        self.notes.append(text)

    def round(self, row, rounds):
        if row["round"] == self._number:
            shutil.rmtree(self._folder)


class TestWhileItRuns:
    def test_a_state_that_vanishes_is_noticed_and_costs_no_results(self, state, tmp_path):
        chosen = small(**PLAIN, stop__rounds=5, cluster__checkpoint_every=3)
        whole = run(chosen, tmp_path / "whole", Silent())
        watch = Removes(state)
        folder = run(chosen, tmp_path / "results", watch)
        assert losses_of(folder).equals(losses_of(whole))
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert [(event["event"], event["round"]) for event in events] == [("checkpoints_gone", 2)]
        assert [note for note in watch.notes if "somebody has removed it" in note]
        assert left(state) == []
        with pytest.raises(FedMFError, match="no checkpoint to go on from"):
            resume(folder, Silent(), ["stop.rounds=7"])

    def test_a_state_that_vanishes_after_a_resume_is_noticed_too(self, state, tmp_path):
        chosen = small(**PLAIN, stop__rounds=2, cluster__checkpoint_every=3)
        folder = run(chosen, tmp_path / "results", Silent())
        resume(folder, Removes(state, 2), ["stop.rounds=8", "cluster.checkpoint_every=4"])
        events = [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]
        assert events == ["resumed", "checkpoints_gone"]
        assert left(state) == []

    def test_matrices_of_rounds_that_nobody_replays_are_forgotten(self, tmp_path, monkeypatch):
        kept = []
        real = Crew.checkpoint

        def counted(self, number, last):
            real(self, number, last)
            kept.append(len(self.items))

        monkeypatch.setattr(Crew, "checkpoint", counted)
        run(small(**PLAIN, stop__rounds=5, cluster__checkpoint_every="never"), tmp_path, Silent())
        assert set(kept) == {1}

    def test_results_that_are_removed_are_one_line(self, state, tmp_path):
        # A checkpoint that time makes due comes before the rows of users.
        first = r"(users\.csv\.gz|events\.jsonl): cannot be written: No such file"
        with pytest.raises(FedMFError, match=first) as caught:
            run(small(**PLAIN, stop__rounds=5), tmp_path / "results", Removes(tmp_path / "results"))
        assert "\n" not in str(caught.value)
        assert left(state) == []

    @pytest.mark.parametrize("name", ["rounds.csv", "users.csv.gz", "summary.json"])
    def test_a_full_disk_is_one_line_and_leaves_whole_files(self, state, tmp_path, monkeypatch, name):
        chosen = small(**PLAIN, stop__rounds=4)
        real, full = os.open, []

        def opens(path, flags, *mode):
            if str(path).endswith((name, f".{name}.{os.getpid()}")) and flags & os.O_CREAT:
                full.append(path)
                if len(full) > 2 or name == "summary.json":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(path, flags, *mode)

        monkeypatch.setattr(files.os, "open", opens)
        with pytest.raises(FedMFError, match=f"{name}: cannot be written: No space left on device"):
            run(chosen, tmp_path / "results", Silent())
        monkeypatch.undo()
        monkeypatch.setenv("FEDMF_STATE", str(state))
        (folder,) = (tmp_path / "results" / "small").iterdir()
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
        resume(folder, Silent())
        assert losses_of(folder).equals(losses_of(run(chosen, tmp_path / "whole", Silent())))
        assert json.loads((folder / "summary.json").read_text())["status"] == "complete"


class TestClean:
    @pytest.fixture
    def two(self, state, tmp_path):
        """Two runs, one of which has lost its folder."""
        kept = run(small(**PLAIN), tmp_path / "results", Silent())
        lost = run(small(**PLAIN), tmp_path / "results", Silent())
        states = [checkpoints_of(folder, small()).folder for folder in (kept, lost)]
        return kept, lost, *states

    def clean(self, *words, **options):
        return CliRunner().invoke(cli, ["clean", *map(str, words)], **options)

    def test_removes_what_no_run_folder_names(self, two, tmp_path):
        _, lost, kept_state, lost_state = two
        assert "every key and checkpoint belongs to a run folder" in self.clean().output
        shutil.rmtree(lost)
        asked = self.clean(input="n\n")
        assert asked.exit_code != 0
        assert f"its run folder {lost} is not there" in asked.output
        assert str(kept_state) not in asked.output
        assert lost_state.exists()
        assert self.clean("--yes").exit_code == 0
        assert not lost_state.exists()
        assert kept_state.exists()

    def test_looks_for_folders_that_were_moved(self, two, tmp_path):
        _, lost, _, lost_state = two
        (tmp_path / "elsewhere").mkdir()
        lost.rename(tmp_path / "elsewhere" / "run")
        assert str(lost_state) in self.clean(input="n\n").output
        assert "belongs to a run folder" in self.clean("--results", tmp_path / "elsewhere").output

    def test_leaves_runs_that_go_on_and_folders_of_others(self, two, state):
        _, lost, _, lost_state = two
        shutil.rmtree(lost)
        (state / "checkpoints" / "photos" / "2026").mkdir(parents=True)
        (state / "checkpoints" / "photos" / "2026" / "a.jpg").write_text("")
        with held(lost_state, lost):
            assert "belongs to a run folder" in self.clean("--yes").output
        assert self.clean("--yes").exit_code == 0
        assert not lost_state.exists()
        assert (state / "checkpoints" / "photos" / "2026" / "a.jpg").exists()

    def test_a_state_of_somebody_else_is_in_nobodys_way(self, two, monkeypatch):
        """As root may read everything, a folder that cannot be listed is played."""
        _, lost, kept_state, lost_state = two
        shutil.rmtree(lost)
        real, real_access = os.listdir, os.access

        def listdir(path):
            if path == kept_state:
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "listdir", listdir)
        monkeypatch.setattr(os, "access", lambda path, mode: path != kept_state and real_access(path, mode))
        assert not is_state(kept_state)
        with pytest.raises(CheckpointError, match="cannot be read: it belongs to somebody else"):
            owner_of(kept_state)
        assert self.clean("--yes").exit_code == 0
        assert kept_state.exists()
        assert not lost_state.exists()

    def test_lists_what_an_earlier_version_left(self, two):
        *_, lost_state = two
        (lost_state / "owner").unlink()
        assert "of an earlier version" in self.clean("--results", "nowhere", input="n\n").output
