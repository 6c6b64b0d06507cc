"""Checks that a Ray cluster's dashboard answers, that its Ray is new enough, and whether it needs a token."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from fedmf_ray.errors import FedMFError

OLDEST_RAY = (2, 40)


def required_headers(address: str, told: str = "--address") -> dict[str, str]:
    """The HTTP headers that a cluster requires: none, or the token of this machine if it asks for one.

    Uses plain requests with a timeout: Ray's own client waits for minutes, and sends a token only if
    RAY_AUTH_MODE is set. told: who named the address, an option or a variable.

    Raises :class:`FedMFError` if the cluster cannot be used.
    """
    import requests

    parts = urlsplit(address)
    try:
        default = {"http": 80, "https": 443}[parts.scheme]
        place = (parts.hostname or "", parts.port or default)
    except (KeyError, ValueError):
        raise FedMFError(
            f"{told} {address}: is not of the form http://HOST:8265, the URL of the dashboard{_instead(told)}"
        ) from None
    try:
        socket.create_connection(place, timeout=5).close()
        headers: dict[str, str] = {}
        answer = requests.get(f"{address}/api/version", timeout=30)
        if answer.status_code == 401:
            headers = {"Authorization": f"Bearer {_token(address)}"}
            answer = requests.get(f"{address}/api/version", headers=headers, timeout=30)
        if answer.status_code in (401, 403):
            raise FedMFError(
                f"{address}: rejects this machine's token: copy the cluster's (`ray get-auth-token` there) "
                "into RAY_AUTH_TOKEN"
            )
        answer.raise_for_status()
        version = str(answer.json()["ray_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FedMFError(
            f"{address}: no Ray dashboard answers there ({one_line(error)}): check the address ({told}), "
            "that the head node has ray[default], and a tunnel if you need one "
            "(`ssh -L 8265:localhost:8265 HEAD`)"
            f"{_proxy(address)}"
        ) from error
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_RAY:
        oldest = ".".join(map(str, OLDEST_RAY))
        raise FedMFError(f"{address}: the cluster runs Ray {version}, fedmf-ray needs {oldest} or later")
    return headers


def _instead(told: str) -> str:
    """What to do about a variable that other programs need as it is."""
    return "" if told == "--address" else ": give --address, or unset the variable"


def _proxy(address: str) -> str:
    """Which variable sends requests to this address elsewhere, if one does."""
    from requests.utils import get_environ_proxies

    proxy = get_environ_proxies(address).get(urlsplit(address).scheme)
    host = urlsplit(address).hostname
    return f"; the environment sends requests to the proxy {proxy}: add {host} to NO_PROXY" if proxy else ""


def _token(address: str) -> str:
    """The token, from RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token, as Ray does."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        token = os.environ.get("RAY_AUTH_TOKEN") or path.read_text(encoding="utf-8")
    except OSError:
        raise FedMFError(
            f"{address}: asks for a token and this machine has none: copy the cluster's "
            "(`ray get-auth-token` there) into RAY_AUTH_TOKEN"
        ) from None
    return token.strip()


def one_line(error: object) -> str:
    """The last 300 characters of a message: Ray sends whole tracebacks, whose end names the error."""
    return " ".join(str(error).split())[-300:]


@contextmanager
def address_variables_hidden() -> Iterator[None]:
    """Without the environment variables that Ray's client prefers to the address that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
