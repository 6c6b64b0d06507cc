"""The first requests to a cluster: tokens, versions, and answers that no Ray dashboard would give."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fedmf_ray.cli.main import cli
from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs.cluster import Cluster
from fedmf_ray.jobs.dashboard import required_headers


@pytest.fixture
def fake_dashboard():
    """A server that replies with ``answer(token) -> (status, body)`` instead of a dashboard's answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answer(self.headers.get("Authorization"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


VERSION = json.dumps({"ray_version": "2.60.0"})


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_token_is_sent_only_to_a_cluster_that_asks_for_one(fake_dashboard, no_token, monkeypatch):
    server, address = fake_dashboard
    heard = []

    def answer(token, wanted):
        heard.append(token)
        return (200, VERSION) if token == wanted else (401 if token is None else 403, "")

    server.answer = lambda token: answer(token, None)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "abc")
    assert required_headers(address) == {}
    assert heard == [None]
    server.answer = lambda token: answer(token, "Bearer abc")
    assert required_headers(address) == {"Authorization": "Bearer abc"}
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    (no_token / ".ray").mkdir()
    (no_token / ".ray" / "auth_token").write_text("abc\n")
    assert required_headers(address) == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, "", "asks for a token and this machine has none"),
        (404, "", "no Ray dashboard answers there"),
        (200, "<html>a router</html>", "no Ray dashboard answers there"),
        (
            200,
            json.dumps({"ray_version": "2.9.3"}),
            "the cluster runs Ray 2.9.3, fedmf-ray needs 2.40 or later",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_line(status, body, message, fake_dashboard, no_token):
    server, address = fake_dashboard
    server.answer = lambda token: (status, body)
    with pytest.raises(FedMFError, match=message) as error:
        Cluster(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("variable", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:6379", "{} 127.0.0.1:6379: is not of the form .*: give --address, or unset the variable"),
        ("http://127.0.0.1:1", r"no Ray dashboard answers there .*: check the address \({}\)"),
    ],
)
def test_a_variable_that_named_the_address_is_named(variable, address, message, root, monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, address)
    with pytest.raises(FedMFError, match=message.format(variable)):
        cli.main(["submit", str(root / "scenarios" / "quickstart.yaml")], standalone_mode=False)


def test_a_proxy_in_the_way_is_named(fake_dashboard, no_token, monkeypatch):
    server, address = fake_dashboard
    server.answer = lambda token: (200, VERSION)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(FedMFError, match="proxy http://127.0.0.1:1: add 127.0.0.1 to NO_PROXY"):
        required_headers(address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert required_headers(address) == {}


def test_an_agent_whose_port_was_taken(fake_dashboard, no_token):
    server, address = fake_dashboard
    server.answer = lambda token: (200, VERSION)
    cluster = Cluster(address)
    with (
        pytest.raises(FedMFError, match="another Ray .* has its port: .*--dashboard-agent-listen-port"),
        cluster._errors_in_one_line(),
    ):
        raise RuntimeError("Request failed: No available agent to submit job, please try again later.")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1", "no Ray dashboard answers there .*: check the address"),
        ("127.0.0.1:6379", "is not of the form http://HOST:8265"),
        ("ray://127.0.0.1:10001", "is not of the form http://HOST:8265"),
        ("http://127.0.0.1:port", "is not of the form http://HOST:8265"),
    ],
)
def test_a_bad_address_is_one_line(address, message):
    with pytest.raises(FedMFError, match=message):
        Cluster(address)
