"""Rows as they are written, a callback that raises, a run that is interrupted, and bars."""

import os
import subprocess
import sys
import types

import pytest

import fedmf_ray
from fedmf_ray import FedMFError
from fedmf_ray.api import watching

KEYS = {
    "name": "tiny",
    "ratings": {"source": "synthetic", "users": 6, "items": 9, "sparsity": 0.5},
    "test": {"last": 2},
    "model": {"factors": 2},
    "protocol": {"scheme": "plain"},
    "stop": {"rounds": 5},
    "cluster": {"backend": "serial", "checkpoint_every": 1},
}


@pytest.fixture
def whole():
    return fedmf_ray.run(KEYS, results="whole")


def the_run(results="results"):
    (folder,) = os.listdir(f"{results}/tiny")
    return fedmf_ray.load(f"{results}/tiny/{folder}")


def test_each_row_comes_when_it_is_on_disk(tmp_path):
    rows, on_disk = [], []

    def look(row):
        rows.append(row)
        on_disk.append(len(the_run().rounds))
        row["round"] = "spoilt"  # a copy: what is written stays

    run = fedmf_ray.run(KEYS, on_round=look)
    assert on_disk == [1, 2, 3, 4, 5]
    assert [row["test_rmse"] for row in rows] == run.rounds["test_rmse"].tolist()
    assert list(rows[0]) == list(run.rounds)
    more = []
    fedmf_ray.resume(run, {"stop.rounds": 7}, on_round=more.append)
    assert [row["round"] for row in more] == [5, 6]


def test_a_callback_that_raises_is_named_and_the_run_goes_on_from_there(whole):
    def fail(row):
        if row["round"] == 2:
            raise ValueError("no room\nleft: token=secret")

    with pytest.raises(FedMFError) as caught:
        fedmf_ray.run(KEYS, on_round=fail)
    run = the_run()
    assert str(caught.value) == (
        "on_round: raised ValueError: no room left: token=secret after round 2, whose row is on disk: "
        f"mend it, then go on: fedmf_ray.resume({str(run.path)!r})"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert len(run.rounds) == 3
    assert run.summary["status"] == "failed"
    assert "secret" not in (run.path / "summary.json").read_text()
    seen = []
    again = fedmf_ray.resume(run, on_round=seen.append)
    assert [row["round"] for row in seen] == [3, 4]
    assert again.rounds["test_rmse"].equals(whole.rounds["test_rmse"])
    assert again.summary["status"] == "complete"


def test_a_run_of_ray_ends_with_the_callback_too(local_ray):
    def fail(row):
        raise KeyError("x")

    with pytest.raises(FedMFError, match="on_round: raised KeyError: 'x' after round 0"):
        fedmf_ray.run(KEYS, {"cluster": {"users_per_actor": 3}}, on_round=fail)
    assert len(fedmf_ray.resume(the_run(), {"stop.rounds": 2}).rounds) == 2


async def wait(row):
    pass


class Waits:
    async def __call__(self, row):
        pass


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("print", "on_round: is str: give a function of one row"),
        (wait, "is a coroutine"),
        (Waits(), "is a coroutine"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_found_before_the_run(callback, message):
    with pytest.raises(FedMFError, match=message):
        fedmf_ray.run(KEYS, on_round=callback)
    assert not os.path.exists("results")


@pytest.mark.parametrize("progress", [False, True])
def test_an_interrupt_leaves_a_run_that_goes_on_and_says_how(whole, capsys, progress):
    def stop(row):
        if row["round"] == 1:
            raise KeyboardInterrupt  # as Jupyter's stop button raises it, wherever the kernel is

    with pytest.raises(KeyboardInterrupt):
        fedmf_ray.run(KEYS, on_round=stop, progress=progress)
    run = the_run()
    said = capsys.readouterr().err
    assert said.count(f"interrupted in round 2; go on: fedmf_ray.resume({str(run.path)!r})") == 1
    assert run.summary["status"] == "interrupted"
    assert fedmf_ray.resume(run).rounds["test_rmse"].equals(whole.rounds["test_rmse"])


def test_an_interrupt_in_the_middle_of_a_round(whole, capsys, monkeypatch):
    from fedmf_ray.protocol.user import Users

    real, calls = Users.update, []

    def update(*args):
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Users, "update", update)
        with pytest.raises(KeyboardInterrupt):
            fedmf_ray.run(KEYS)
    run = the_run()
    assert "fedmf_ray.resume(" in capsys.readouterr().err
    assert 0 < len(run.rounds) < 5
    assert fedmf_ray.resume(run).rounds["test_rmse"].equals(whole.rounds["test_rmse"])


def test_what_keeps_no_checkpoint_is_run_again(capsys):
    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fedmf_ray.run(KEYS, {"model.algorithm": "biases"}, on_round=stop)
    assert (
        "interrupted in round 1; without checkpoints it cannot go on: run it again" in capsys.readouterr().err
    )


def test_it_is_silent_unless_asked(capfd):
    run = fedmf_ray.run(KEYS)
    fedmf_ray.resume(run, {"stop.rounds": 6})
    run.recommend(1), run.items()
    assert capfd.readouterr() == ("", "")
    fedmf_ray.run(KEYS, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert f"tiny: round 4 (5 of 5): test RMSE {run.rounds['test_rmse'][4]:.4f}" in err
    fedmf_ray.sweep({**KEYS, "sweep": {"model.factors": [2, 3]}}, progress=True)
    assert "tiny, 1 of 2 cells, now cell 1 (model.factors=3)" in capfd.readouterr().err


def test_a_terminal_has_a_bar(tmp_path):
    """In a terminal of its own: bars are redrawn there alone."""
    pty = pytest.importorskip("pty")
    program = f"import fedmf_ray; fedmf_ray.run({KEYS!r}, progress=True)"
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=there, stdout=there, env=environment, cwd=tmp_path
    )
    os.close(there)
    shown = b""
    while True:
        try:
            part = os.read(here, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    os.close(here)
    assert "━" in shown.decode()
    assert "5/5" in shown.decode()


class Kernel:
    """What this package uses of IPython in a kernel."""

    def __init__(self):
        self.shown = []

    def display(self, picture, display_id):
        self.shown.append(picture)
        return types.SimpleNamespace(update=self.shown.append)


def test_a_notebook_has_an_element_of_its_page(monkeypatch, capfd):
    kernel = Kernel()
    shell = types.SimpleNamespace(kernel=kernel)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    module = types.SimpleNamespace(display=kernel.display, HTML=str)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    assert watching.in_notebook()
    run = fedmf_ray.run({**KEYS, "name": "a.b"}, progress=True)
    assert kernel.shown[0].startswith("<progress ></progress> a.b: starting")
    assert kernel.shown[-1].startswith(
        f'<progress value="5" max="5"></progress> a.b: round 4 (5 of 5), test RMSE {run.rmse():.4f}, 0 s left'
    )
    assert "6 users in 6 actors" in kernel.shown[-1]
    assert capfd.readouterr() == ("", "")


def test_train_error_is_shown_where_nothing_is_held_out():
    assert watching.errors_in({"test_rmse": float("nan"), "train_mse": 1.5}) == "train MSE 1.5000"
