"""Real signals to real programs: runs that are told to end, or killed, and go on; nodes that die."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from tests.support.small_runs import LOSSES, small

ON_RAY = pytest.param("ray", marks=pytest.mark.slow)


@pytest.fixture(params=["serial", ON_RAY])
def scenario(request, tmp_path):
    """A file with some seconds of work in six rounds."""
    chosen = small(
        ratings__users=12,
        ratings__items=200,
        model__factors=25,
        stop__rounds=6,
        cluster__backend=request.param,
        cluster__users_per_actor=4,
    )
    (tmp_path / "small.yaml").write_text(chosen.to_yaml())
    return chosen, tmp_path / "small.yaml"


def started(file, tmp_path):
    """`python -m fedmf_ray run` in a process group of its own, when its second round has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fedmf_ray", "run", str(file), "--results", str(tmp_path / "results")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"FEDMF_KERNEL": "gmpy2"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        tables = list(tmp_path.glob("results/small/*/rounds.csv"))
        if tables and tables[0].read_text().count("\n") >= 3:
            return process, tables[0].parent
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def undisturbed(chosen, folder):
    serial = chosen.model_copy(update={"cluster": small().cluster})
    return pd.read_csv(run(serial, folder, Silent()) / "rounds.csv")[LOSSES]


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["ctrl-c", "sigterm"],
)
def test_a_run_that_is_told_to_end_does_so_cleanly_and_goes_on(scenario, tmp_path, number, code, word):
    chosen, file = scenario
    process, folder = started(file, tmp_path)
    process.send_signal(number)
    _, screen = process.communicate(timeout=60)
    assert process.returncode == code
    assert word in screen.splitlines()[-1]
    assert f"fedmf-ray resume {folder}" in screen.replace("\n", "")
    assert "Traceback" not in screen
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert 2 <= summary["rounds"] < 6
    resume(folder, Silent(), ["cluster.backend=serial"])
    rows = pd.read_csv(folder / "rounds.csv")
    assert rows[LOSSES].equals(undisturbed(chosen, tmp_path / "whole"))
    # It was saved where it stood: no round was done twice.
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["round"] for event in events if event["event"] == "resumed"] == [summary["rounds"]]


def test_a_run_that_is_killed_goes_on(scenario, tmp_path):
    """SIGKILL to the whole group: no chance to save anything, perhaps in the middle of a line."""
    chosen, file = scenario
    process, folder = started(file, tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (folder / "summary.json").exists()
    resume(folder, Silent(), ["cluster.backend=serial"])
    assert pd.read_csv(folder / "rounds.csv")[LOSSES].equals(undisturbed(chosen, tmp_path / "whole"))
    assert json.loads((folder / "summary.json").read_text())["status"] == "complete"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_nodes_of_a_cluster_that_die(root, tmp_path, seed):
    """Three nodes on this machine; a whole node, user actors and servers die at seeded moments."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.node_faults", str(tmp_path), str(seed)],
        capture_output=True, text=True, timeout=400, cwd=root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["same_items"]
    assert told["same_losses"]
    assert len(told["killed"]) >= 2
    assert {"user_actor_died", "server_died", "went_back"} & set(told["events"])
