"""What is in the way of a connection to Ray is one line that names what to change, within seconds."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from fedmf_ray.engine import connection
from fedmf_ray.errors import FedMFError
from fedmf_ray.termination import Terminated, termination_as_interrupt

NO_CLUSTER = "set RAY_ADDRESS to HOST:PORT"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("RAY_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def silent():
    """Listens and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def dashboard():
    """Answers as web servers do to what is no request of theirs."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Health(grpc.GenericRpcHandler):
    """The health check of a cluster that asks for a token, or of a process that has none."""

    def __init__(self, token):
        self.token = token

    def service(self, details):
        if self.token is None or not details.method.endswith("/CheckAlive"):
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        if ("authorization", f"Bearer {self.token}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""


@pytest.fixture
def cluster(request):
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Health(getattr(request, "param", "secret")),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def refused(address=None):
    started = time.monotonic()
    with pytest.raises(FedMFError) as caught:
        connection.connect(address)
    assert time.monotonic() - started < 20
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_the_port_of_the_dashboard(dashboard, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", dashboard)
    assert "an HTTP server listens there, such as the dashboard: " + NO_CLUSTER in refused()


def test_the_url_of_the_dashboard(dashboard, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"http://{dashboard}")
    assert "this is the URL of a dashboard" in refused()
    assert NO_CLUSTER in refused()


def test_something_that_listens_and_says_nothing(silent, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", silent)
    assert "what listens there does not answer as Ray does: " + NO_CLUSTER in refused()


def test_a_scenario_that_names_it_is_named(silent, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "set cluster.address to HOST:PORT" in refused(silent)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "no-such-host.invalid:6379"])
def test_nobody_there(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert NO_CLUSTER in refused()


@pytest.mark.parametrize("cluster", [None], indirect=True)
def test_another_process_that_speaks_the_same_language(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    assert "another process of Ray, or of others, listens there: " + NO_CLUSTER in refused()


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_token_that_is_missing_or_wrong(cluster, monkeypatch, tmp_path, token):
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    monkeypatch.setenv("HOME", str(tmp_path))
    if token:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    assert "rejects this machine's token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN" in refused()


def test_a_cluster_that_lets_us_in_has_no_obstacle(cluster, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not used, as Ray does not use it
    connection._check_address(cluster, "RAY_ADDRESS")


def test_a_cluster_is_no_server_for_clients(cluster, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert "remove ray://" in refused(f"ray://{cluster}")


@pytest.mark.parametrize(
    ("variable", "folder", "message"),
    [
        ("TMPDIR", "/tmp/" + "x" * 60, "has more than 36 characters: set RAY_TMPDIR"),
        ("RAY_TMPDIR", "/tmp/" + "x" * 60, r"RAY_TMPDIR is '/tmp/xxx"),
        ("TMPDIR", "/tmp/ünï", r"is not ASCII: set RAY_TMPDIR .*TMPDIR is '/tmp/ünï'"),
        ("RAY_TMPDIR", "/etc/passwd/x", "cannot be written: set RAY_TMPDIR"),
    ],
)
def test_a_temporary_folder_that_will_not_do(variable, folder, message, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setenv(variable, folder)
    with pytest.raises(FedMFError, match=message):
        connection._check_folder()


def test_a_second_sigterm_does_not_break_into_what_the_first_began():
    with termination_as_interrupt():
        with termination_as_interrupt(), pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def test_two_sigterms_are_exit_code_143(root):
    """Sent at once, while the command runs."""
    program = """
import atexit, os, signal, sys, time
from fedmf_ray.cli import main as command
@command.cli.command()
def wait():
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("saving", flush=True)
        time.sleep(1)
        print("saved", flush=True)
@atexit.register
def late():
    os.kill(os.getpid(), signal.SIGTERM)
    print("ended", flush=True)
sys.argv[1:] = ["wait"]
command.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    assert process.stdout.readline() == "saving\n"
    process.terminate()
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "saved\nended\n")
    assert errors.splitlines()[-1] == "terminated"
