"""Studies that were edited, stopped or are run twice: nothing is lost, and nothing of others goes."""

import json

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.study import sweep
from tests.support.small_studies import Watch


@pytest.mark.parametrize("name", ["{0}", "../../../victim", "victim", "photos/2026"])
def test_an_edited_cell_removes_nothing_of_others(load, tmp_path, monkeypatch, name):
    """A cell that is run again or has ended loses its own checkpoints, whatever its folder says they are."""
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "state"))
    victims = [tmp_path / "victim", tmp_path / "state" / "checkpoints" / "photos" / "2026"]
    for victim in victims:
        (victim / "users").mkdir(parents=True)
        (victim / "users" / "key").write_text("not yours")
    study = load({"seed": [1]})
    path = sweep.run_study(study, tmp_path / "results", Watch()).path
    (path / "cells" / "0000" / "summary.json").unlink()
    tree = json.loads((path / "cells" / "0000" / "environment.json").read_text())
    tree["checkpoints"] = name.format(tmp_path / "victim")
    (path / "cells" / "0000" / "environment.json").write_text(json.dumps(tree))
    assert not sweep.run_study(study, tmp_path / "results", Watch()).incomplete
    assert all((victim / "users" / "key").read_text() == "not yours" for victim in victims)


def test_a_link_among_the_cells_is_not_followed(load, tmp_path):
    study = load({"seed": [1]})
    path = sweep.run_study(study, tmp_path / "results", Watch()).path
    (path / "cells").rename(tmp_path / "mine")
    (path / "cells").symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "0000" / "summary.json").unlink()
    (state,) = sweep.run_study(study, tmp_path / "results", Watch()).incomplete
    assert "cells: is a link" in state.reason
    assert (tmp_path / "mine" / "0000" / "rounds.csv").exists()


def test_two_sweeps_of_one_study_do_not_run_at_once(load, tmp_path):
    study = load({"seed": [1, 2]})

    class Second(Watch):
        def cell(self, done, total, name):
            with pytest.raises(FedMFError, match="another process is at work on it"):
                sweep.run_study(study, tmp_path, Watch())
            super().cell(done, total, name)

    assert not sweep.run_study(study, tmp_path, Second()).incomplete


def test_a_cell_that_fails_when_it_goes_on_keeps_what_it_has(load, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "state"))
    study = load({"seed": [1]})

    class Killed(Watch):
        def round(self, row, rounds):
            if row["round"] == 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run_study(study, tmp_path / "results", Killed())

    class Full(Watch):
        def round(self, row, rounds):
            raise FedMFError("rounds.csv: cannot be written: No space left on device")

    (failed,) = sweep.run_study(study, tmp_path / "results", Full()).incomplete
    assert "No space left" in failed.reason
    outcome = sweep.run_study(study, tmp_path / "results", Watch())
    assert not outcome.incomplete
    events = (outcome.path / "cells" / "0000" / "events.jsonl").read_text().splitlines()
    assert [json.loads(event)["event"] for event in events] == ["resumed", "resumed"]


def test_cells_that_another_process_has_ended_meanwhile_are_not_run_again(load, tmp_path, monkeypatch):
    study = load({"seed": [1, 2]})
    preflight = sweep._preflight

    def slow(missing, backends):
        """In the meantime, somebody else runs all of it."""
        monkeypatch.setattr(sweep, "_preflight", preflight)
        assert not sweep.run_study(study, tmp_path, Watch()).incomplete
        preflight(missing, backends)

    monkeypatch.setattr(sweep, "_preflight", slow)
    watch = Watch()
    assert not sweep.run_study(study, tmp_path, watch).incomplete
    assert watch.seen == []


def test_a_study_that_is_no_text_is_refused(load, tmp_path):
    (tmp_path / "study.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FedMFError, match="is not empty and holds no study"):
        sweep.run_study(load({"seed": [1]}), tmp_path, Watch(), tmp_path)
