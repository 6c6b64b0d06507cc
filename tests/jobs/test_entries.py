"""Every way to start a run on a cluster ends in the same entry: `python -m fedmf_ray`."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fedmf_ray.jobs.cluster import remote_folder
from tests.support.heads import RAY, SMALL, TOKEN, fedmf, started_head

pytestmark = pytest.mark.slow

SSH = """#!/bin/bash
# Stands in for ssh: the command, which comes after the host, runs here.
case "$*" in *"ray stop"*) exit 1;; esac
while [ $# -gt 0 ]; do case "$1" in *@*) shift; break;; *) shift;; esac; done
[ $# -eq 0 ] || exec bash -c "$*"
"""

RSYNC = """#!/bin/bash
# Stands in for rsync: the last two words are a file here, and host:~/file.
target="${@: -1}"; target="${target#*:}"
cp "${@: -2:1}" "${target/#\\~/$HOME}"
"""


PYTHON = f"""#!/bin/bash
exec {sys.executable} "$@"
"""


@pytest.fixture(scope="module")
def head():
    with started_head() as found:
        yield found


def cpus_of(folder):
    """Of the cluster on which a run took place."""
    return json.loads((folder / "environment.json").read_text())["cluster_cpus"]


def test_the_entrypoint_of_the_kubernetes_job(head, root, tmp_path):
    """KubeRay hands it to the same job service as `ray job submit` does."""
    spec = yaml.safe_load((root / "deploy" / "rayjob.yaml").read_text())["spec"]
    job = f"{spec['jobId']}-{secrets.token_hex(3)}"
    entry = spec["entrypoint"].replace("/home/ray/fedmf-ray", str(root)).replace(spec["jobId"], job)
    command = [
        *RAY,
        "job",
        "submit",
        "--address",
        head[0],
        "--submission-id",
        job,
        "--working-dir",
        ".",
        "--",
    ]
    environment = os.environ | {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token"}
    try:
        done = subprocess.run(
            [*command, *entry.split(), *SMALL], cwd=root, capture_output=True, text=True, timeout=300,
            env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        followed = fedmf("follow", job, "--address", head[0], cwd=tmp_path)
    finally:
        shutil.rmtree(remote_folder(job), ignore_errors=True)
    assert followed.returncode == 0, followed.stderr
    folder = Path(followed.stdout.strip())
    assert len(pd.read_csv(folder / "rounds.csv")) == 3
    assert cpus_of(folder) == 2


def test_the_command_of_the_cluster_launcher(head, root, tmp_path):
    """`ray submit` with this machine as its cluster, and programs in place of ssh and rsync that stay
    here."""
    name, home, programs = f"fedmf-{secrets.token_hex(4)}", tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    (home / "fedmf-ray").symlink_to(root)
    for program, text in (("ssh", SSH), ("rsync", RSYNC), ("python", PYTHON)):
        (programs / program).write_text(text)
        (programs / program).chmod(0o755)
    # The launcher uses a login shell, which makes a PATH of its own.
    (home / ".bashrc").write_text(f"export PATH={programs}:$PATH\n")
    (tmp_path / "cluster.yaml").write_text(
        f"cluster_name: {name}\nprovider: {{type: local, head_ip: 127.0.0.1, worker_ips: []}}\n"
        "auth: {ssh_user: nobody}\nhead_start_ray_commands: ['true']\nworker_start_ray_commands: ['true']\n"
    )
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = known | {
        "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(root),
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_ADDRESS": head[1],
    }  # fmt: skip

    def ray(*words):
        done = subprocess.run(
            [*RAY, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    try:
        ray("up", "-y", "cluster.yaml")
        ray(
            "submit", "cluster.yaml", str(root / "deploy" / "entry.py"), "--", "run",
            "scenarios/quickstart.yaml", *SMALL, "--results", str(tmp_path / "results"),
        )  # fmt: skip
    finally:
        for state in Path("/tmp/ray").glob(f"cluster-{name}.*"):
            state.unlink()
    (folder,) = (tmp_path / "results" / "quickstart").iterdir()
    assert len(pd.read_csv(folder / "rounds.csv")) == 3
    assert cpus_of(folder) == 2
