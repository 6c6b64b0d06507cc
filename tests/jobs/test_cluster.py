"""Jobs on a real Ray head with a dashboard and a token: submitted, followed, stopped, fetched."""

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.jobs.cluster import Cluster, _Log
from fedmf_ray.scenario import file as scenario_file
from tests.support.heads import RAY, SMALL, TOKEN, client_environment, fedmf, started_head


@pytest.fixture(scope="module")
def head():
    with started_head() as (address, _):
        yield address


@pytest.fixture(scope="module")
def quickstart(root):
    return root / "scenarios" / "quickstart.yaml"


def test_a_submitted_run_comes_back_with_the_losses_of_a_local_one(head, quickstart, tmp_path):
    words = [*SMALL, "cluster.backend=serial"]
    done = fedmf("submit", quickstart, *words, "--address", head, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.parent == tmp_path / "results" / "quickstart"
    assert "round 0 (1 of 3): t" in done.stderr
    assert "complete after 3 rounds" in done.stderr
    assert (folder / "plots" / "convergence.png").stat().st_size > 10_000
    local = run(scenario_file.load(quickstart, words), tmp_path / "local", Silent())
    here, there = (pd.read_csv(path / "rounds.csv") for path in (local, folder))
    for column in ("train_mse", "test_rmse", "upload_bytes_total"):
        assert list(here[column]) == list(there[column])
    assert json.loads((folder / "environment.json").read_text())["versions"]["ray"]


@pytest.mark.slow
def test_a_failed_job_gives_its_exit_code_its_words_and_its_folder(head, quickstart, tmp_path):
    words = [*SMALL, "cluster.backend=serial", "model.rule=batch", "model.learning_rate=5"]
    done = fedmf("submit", quickstart, *words, "--address", head, cwd=tmp_path)
    assert done.returncode == 1
    assert "lower model.learning_rate" in done.stderr
    assert "ended with exit code 1: the reason is above" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((Path(done.stdout.strip()) / "summary.json").read_text())["status"] == "diverged"


@pytest.mark.slow
def test_ctrl_c_stops_the_job_and_brings_what_there_is(head, quickstart, tmp_path):
    words = [*SMALL[:3], "stop.rounds=1000000", "cluster.backend=serial", "--address", head]
    process = subprocess.Popen(
        [sys.executable, "-m", "fedmf_ray", "submit", str(quickstart), *words], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client_environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("round"):
            break
    process.send_signal(signal.SIGINT)
    printed, screen = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping job quickstart-" in screen
    assert "Traceback" not in screen
    assert json.loads((Path(printed.strip()) / "summary.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
def test_a_study_is_left_to_itself_followed_later_and_fetched_once(head, tmp_path):
    (tmp_path / "ratings.csv").write_text(
        "user,item,rating\n" + "".join(f"{user},{item},{1 + (user * item) % 5}\n"
                                       for user in range(1, 5) for item in range(1, 7))
    )  # fmt: skip
    (tmp_path / "two.yaml").write_text(
        "ratings: {source: file, path: ratings.csv}\nmodel: {factors: 3, learning_rate: 0.01}\n"
        "protocol: {scheme: plain}\ncluster: {backend: serial}\nstop: {rounds: 2}\n"
        "sweep: {protocol.part_text_sparsity: [0, 1]}\n"
    )
    left = fedmf("submit", "two.yaml", "--address", head, "--no-wait", cwd=tmp_path)
    job = left.stdout.strip()
    assert f"fedmf-ray follow {job} --address {head}" in left.stderr
    first, again = (fedmf("follow", job, "--address", head, cwd=tmp_path) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0)
    assert "2 of 2 cells are complete" in first.stderr
    assert first.stdout == again.stdout
    (study,) = (tmp_path / "results" / "two").iterdir()
    assert len(pd.read_csv(study / "study.csv")) == 4


@pytest.mark.slow
def test_ray_job_submit_does_the_same_with_results_at_a_uri(head, root, tmp_path):
    command = [
        *RAY, "job", "submit",
        "--address", head, "--working-dir", ".", "--", "python", "-m", "fedmf_ray", "run",
        "scenarios/quickstart.yaml", *SMALL, "--results", f"file://{tmp_path}/bucket",
    ]  # fmt: skip
    environment = os.environ | {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token"}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "bucket" / "quickstart").iterdir()
    assert f"file://{run}" in done.stdout
    assert len(pd.read_csv(run / "rounds.csv")) == 3


@pytest.mark.slow
def test_a_wrong_token_an_unknown_job_and_a_missing_library_are_one_line(head, quickstart, tmp_path):
    wrong = fedmf("submit", quickstart, "--address", head, cwd=tmp_path, RAY_AUTH_TOKEN=secrets.token_hex(32))
    unknown = fedmf("follow", "no-such-job", "--address", head, cwd=tmp_path)
    assert (wrong.returncode, unknown.returncode) == (2, 2)
    assert "rejects this machine's token" in wrong.stderr
    assert "has no such job" in unknown.stderr
    assert wrong.stderr.count("\n") == unknown.stderr.count("\n") == 1
    isolated = [sys.executable, "-S", "-m", "fedmf_ray", "run"]  # -S: without site-packages
    bare = subprocess.run(isolated, cwd=quickstart.parent.parent, capture_output=True, text=True, timeout=60)
    assert bare.returncode == 2
    assert "is not installed for" in bare.stderr
    assert "Traceback" not in bare.stderr


@pytest.mark.slow
def test_a_log_is_followed_where_web_sockets_do_not_pass(head, monkeypatch):
    async def closed(job):
        raise ConnectionResetError
        yield

    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    cluster = Cluster(head)
    monkeypatch.setattr(cluster._client, "tail_job_logs", closed)
    command = "for n in 1 2 3 4 5; do echo line $n; sleep 1; done; printf end; exit 3"
    cluster._client.submit_job(entrypoint=command, submission_id="lines")
    lines = []
    ended = cluster.follow("lines", lines.append)
    (start,) = (
        at for at, line in enumerate(lines) if line.startswith("Running entrypoint")
    )  # after Ray's own
    assert lines[start + 1 :] == [*(f"line {n}" for n in range(1, 6)), "end"], lines
    assert (ended.status, ended.exit_code) == ("FAILED", 3)


def test_a_log_that_is_read_again_is_shown_once():
    text, lines = "one\ntwo\nthree\nfour", []
    log = _Log(lines.append)
    for chunk, position in [("one\ntw", 0), ("o\n", 6), ("one\ntwo\nth", 0), ("ree\n", 10), (text, 0)]:
        log.take(chunk, position)
    log.close()
    assert lines == ["one", "two", "three", "four"]


def test_a_bad_runtime_environment_is_one_line_and_exit_code_2(quickstart, tmp_path):
    (tmp_path / "env.yaml").write_text("working_dir: .\n")
    done = fedmf("submit", quickstart, "--runtime-env", "env.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "env.yaml: must hold keys of a Ray runtime environment" in done.stderr
    assert done.stderr.count("\n") == 1
