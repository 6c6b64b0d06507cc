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
from fedmf_ray.scenario.schema import Stop
from tests.support.small_runs import LOSSES, small

ROUNDS = 500

ON_RAY = pytest.param("ray", marks=pytest.mark.slow)


@pytest.fixture(params=["serial", ON_RAY])
def scenario(request, tmp_path):
    """A file with many short rounds: nobody waits for the last."""
    chosen = small(
        ratings__users=6,
        ratings__items=40,
        model__learning_rate=1e-4,
        stop__rounds=ROUNDS,
        cluster__backend=request.param,
        cluster__users_per_actor=3,
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
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def check_that_it_goes_on(folder, chosen, tmp_path):
    """For two rounds more than it has written."""
    rounds = (folder / "rounds.csv").read_text().count("\n") + 1
    resume(folder, Silent(), ["cluster.backend=serial", f"stop.rounds={rounds}"])
    short = {"stop": Stop(rounds=rounds), "cluster": small().cluster}
    whole = run(chosen.model_copy(update=short), tmp_path / "whole", Silent())
    losses = pd.read_csv(folder / "rounds.csv")[LOSSES]
    assert len(losses) == rounds
    assert losses.equals(pd.read_csv(whole / "rounds.csv")[LOSSES])
    assert json.loads((folder / "summary.json").read_text())["status"] == "complete"


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
    assert 1 <= summary["rounds"] < ROUNDS  # the second row may have been half written
    check_that_it_goes_on(folder, chosen, tmp_path)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    (resumed,) = [event["round"] for event in events if event["event"] == "resumed"]
    assert 0 <= resumed <= summary["rounds"]


def test_two_sigterms_are_one(scenario, tmp_path):
    """Schedulers send one to the group and one to the process: the state is written all the same."""
    chosen, file = scenario
    process, folder = started(file, tmp_path)
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    _, screen = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "terminated" in screen.splitlines()[-1]
    check_that_it_goes_on(folder, chosen, tmp_path)


def test_a_run_that_is_killed_goes_on(scenario, tmp_path):
    """SIGKILL to the whole group: no chance to save anything, perhaps in the middle of a line."""
    chosen, file = scenario
    process, folder = started(file, tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (folder / "summary.json").exists()
    check_that_it_goes_on(folder, chosen, tmp_path)


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
