"""A Ray head of its own with a dashboard and a token, and clients of it."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests

from fedmf_ray.jobs.cluster import remote_folder

ROOT = Path(__file__).parents[2]
TOKEN = secrets.token_hex(32)
SMALL = [
    "ratings.users=4",
    "ratings.items=8",
    "protocol.key_bits=1024",
    "stop.rounds=3",
]

RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")
"""The command ``ray`` of this environment."""


def client_environment(**changes):
    """Variables for a client: of Ray's only the token of the test's cluster; the code of this checkout."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return known | {"RAY_AUTH_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)} | changes


def fedmf(*words, cwd, **environment):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fedmf_ray", *map(str, words)], capture_output=True, text=True, cwd=cwd,
        timeout=300, env=client_environment(**environment),
    )  # fmt: skip


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def started_head():
    """Starts one; its dashboard's address, and that of the cluster. Other clusters of this machine are left
    alone."""
    folder = tempfile.mkdtemp(prefix="fedmf-head-")  # pytest's own are too long for the names of sockets
    gcs, dashboard, client, agent, grpc, metrics = free_ports(6)
    command = [
        *RAY, "start", "--head", "--block",
        f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={grpc}",
        f"--metrics-export-port={metrics}", "--min-worker-port=0", "--max-worker-port=0",
        "--dashboard-host=127.0.0.1", "--node-ip-address=127.0.0.1", "--num-cpus=2",
        f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # whose `python` jobs run
    process = subprocess.Popen(
        command, env=known | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PATH": path},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(address, process)
        yield address, f"127.0.0.1:{gcs}"
    finally:
        with contextlib.suppress(requests.RequestException):  # what jobs leave on a head
            for job in ask(address, "/api/jobs/").json():
                shutil.rmtree(remote_folder(job["submission_id"]), ignore_errors=True)
        process.terminate()  # ends its children, too
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def ask(address, path):
    return requests.get(address + path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)


def wait_for(address, process):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if ask(address, "/api/version").status_code == 200:
                return
        time.sleep(0.3)
    pytest.fail("the Ray head did not start")
