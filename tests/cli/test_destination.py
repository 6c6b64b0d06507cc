"""Results at a URI: copied when a run ends, also by an error, or kept here if they cannot be copied."""

import pytest

from fedmf_ray.cli.destination import destination
from fedmf_ray.errors import FedMFError


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pytest.importorskip("pyarrow")
    return f"file://{tmp_path}/bucket"


def write_run(place):
    run = place.folder / "mine" / "run"
    (run / "plots").mkdir(parents=True)
    (run / "rounds.csv").write_text("round\n0\n")
    (run / "plots" / "loss.png").write_bytes(b"png")
    return run


def left_here(tmp_path):
    return [path for path in tmp_path.glob("fedmf-results-*") if path.is_dir()]


def test_a_folder_is_written_in_place(tmp_path):
    with destination(str(tmp_path / "out")) as place:
        assert place.folder == tmp_path / "out"
        assert place.deliver(tmp_path / "out" / "run") == str(tmp_path / "out" / "run")


def test_a_uri_gets_the_run_and_nothing_stays(uri, tmp_path):
    with destination(uri) as place:
        assert place.deliver(write_run(place)) == f"{uri}/mine/run"
    assert (tmp_path / "bucket/mine/run/rounds.csv").read_text() == "round\n0\n"
    assert (tmp_path / "bucket/mine/run/plots/loss.png").read_bytes() == b"png"
    assert not left_here(tmp_path)


@pytest.mark.parametrize("end", [FedMFError("diverged"), KeyboardInterrupt(), SystemExit(15)])
def test_a_run_that_ends_early_is_copied_too(end, uri, tmp_path):
    def interrupted():
        with destination(uri) as place:
            write_run(place)
            raise end

    with pytest.raises(type(end)):
        interrupted()
    assert (tmp_path / "bucket/mine/run/rounds.csv").exists()
    assert not left_here(tmp_path)


def test_a_failed_copy_keeps_the_run_here_and_names_the_folder(uri, tmp_path):
    def in_the_way():
        with destination(uri) as place:
            run = write_run(place)
            (tmp_path / "bucket" / "mine").write_text("a file where the folder should go")
            place.deliver(run)

    with pytest.raises(FedMFError, match="results cannot be copied there: .*; what was not copied is in"):
        in_the_way()
    (kept,) = left_here(tmp_path)
    assert (kept / "mine/run/rounds.csv").exists()


def test_a_recorded_view_stays(uri, tmp_path):
    with destination(uri) as place:
        run = write_run(place)
        (run / "view").mkdir()
        (run / "view" / "agreed.json").write_text("{}")
        place.deliver(run)
    assert not (tmp_path / "bucket/mine/run/view").exists()
    assert place.left
    assert (place.left / "mine/run/view/agreed.json").exists()


@pytest.mark.parametrize("place", ["ftp://host/x", "file:///dev/null/x"])
def test_an_impossible_place_is_refused_before_any_work(place, uri, tmp_path):
    with pytest.raises(FedMFError, match=place), destination(place):
        pytest.fail("work was started")
    assert not left_here(tmp_path)
