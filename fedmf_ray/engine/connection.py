"""Connects this process to a Ray cluster, or starts a local one; says in one line what is in the way.

Ray itself waits for minutes, deaf to signals, for whatever listens at an address. So what listens is asked
first, with a deadline: the control store of a cluster answers a health check, a dashboard answers in HTTP.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fedmf_ray.errors import FedMFError

_PROBE_S = 5.0
"""Seconds after which whatever listens should have answered."""

_LONGEST_TEMPORARY = 36
"""Characters of a temporary folder: Ray adds about 70, and names of sockets have at most 107."""


def import_ray() -> Any:
    """Ray reads these when it is imported: no warnings about GPUs, about many actors, or about errors of
    calls whose results nobody asked for because an earlier one had failed."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "PYTHON worker processes have been started")
    import ray

    return ray


def connect(address: str | None) -> None:
    """``ray.init`` without noise. address: of the scenario; RAY_ADDRESS or a local instance if None.

    Raises :class:`FedMFError` that names the key or the variable to change.
    """
    told = "cluster.address" if address else "RAY_ADDRESS"
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address != "local":
        _check_address(address, told)
    if address == "local":
        # Nobody can ask this instance for its tasks, of which Ray would keep a record, 37 KB a round.
        os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    ray = import_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        with _signals_kept():
            if address == "local":
                _check_folder()
                ray.init(address="local", include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except FedMFError:
        raise
    except Exception as error:  # Ray raises of every kind, also Exception itself
        reason = " ".join(str(error).split())[:200]
        if address == "local":
            raise FedMFError(f"Ray cannot be started here: {reason}; {_local_remedy(reason)}") from error
        remedy = f"check {told}, that `ray start --head` runs there, RAY_AUTH_MODE and RAY_AUTH_TOKEN"
        raise FedMFError(f"Ray at {address!r} cannot be reached: {reason}; {remedy}") from error


def disconnect() -> None:
    """``ray.shutdown``, which takes seconds, and in which a second SIGTERM should not end this process: Ray
    resets the signal behind Python's back, so it is set again as soon as that is seen. A few milliseconds
    remain in which it does; results and checkpoints are written by then."""
    ray = import_ray()
    handler_of, set_handler = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    handler_of.restype = set_handler.restype = ctypes.c_void_p
    set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
    before, over = handler_of(signal.SIGTERM), threading.Event()

    def keep() -> None:
        while not over.wait(0.005):
            if handler_of(signal.SIGTERM) != before:
                set_handler(signal.SIGTERM, before)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        ray.shutdown()
    finally:
        over.set()
        keeper.join()
        set_handler(signal.SIGTERM, before)


def _local_remedy(reason: str) -> str:
    if "token" in reason.lower():
        return "unset RAY_AUTH_MODE, or set RAY_AUTH_TOKEN (`ray get-auth-token --generate` makes one)"
    if os.environ.get("HOME") and os.environ["HOME"] in reason:
        return "set HOME to a folder that can be written, or unset RAY_AUTH_MODE, for which Ray keeps a token"
    return "set RAY_TMPDIR to a folder that can be written, or run with cluster.backend=serial"


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray sets a handler for SIGTERM of its own, which ends a program without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_folder() -> None:
    """Ray's sockets stand in the temporary folder; in one that will not do, it waits or shows a traceback."""
    name = "RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR"
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or tempfile.gettempdir()
    advice = f"set RAY_TMPDIR to a short path that can be written, such as /tmp ({name} is {folder!r})"
    if not folder.isascii():
        raise FedMFError(f"Ray cannot be started here: its folder for sockets is not ASCII: {advice}")
    if len(folder) > _LONGEST_TEMPORARY:
        most = f"more than {_LONGEST_TEMPORARY} characters"
        raise FedMFError(f"Ray cannot be started here: its folder for sockets has {most}: {advice}")
    there = next(
        path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists()
    )
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise FedMFError(f"Ray cannot be started here: its folder for sockets cannot be written: {advice}")


def _check_address(address: str, told: str) -> None:
    """Raise :class:`FedMFError` within seconds unless a Ray cluster that lets us in answers there."""
    where, advice = (
        f"Ray at {address!r} cannot be reached: ",
        f"set {told} to HOST:PORT of `ray start --head`",
    )
    if address.startswith(("http://", "https://")):
        raise FedMFError(
            f"{where}this is the URL of a dashboard, for `fedmf-ray submit --address`: {advice} (port 6379 "
            "if it names no other), or unset it"
        )
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise FedMFError(f"{where}{error}: {advice}") from None
    if not host or port is None:
        return  # `auto`, which Ray looks up on this machine
    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except (OSError, UnicodeError) as error:
        raise FedMFError(f"{where}{error}: {advice}, and check that it runs there") from error
    obstacle = None if os.environ.get("RAY_USE_TLS") == "1" else _obstacle(host, port, parts.scheme == "ray")
    if obstacle:
        raise FedMFError(f"{where}{obstacle.format(advice=advice)}")


def _obstacle(host: str, port: int, client: bool) -> str | None:
    """What the process at a port is, if it is no Ray cluster that lets us in; None if it is one.

    client: it should be a Ray client server (``ray://``), which has no health check.
    """
    import grpc  # type: ignore[import-untyped]

    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Ray's own connections use no proxy either.
    with grpc.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)]) as channel:
        check = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
        token = _token()
        try:
            check(b"", timeout=_PROBE_S, metadata=[("authorization", f"Bearer {token}")] if token else None)
        except grpc.RpcError as error:
            code, details = error.code(), str(error.details())
        else:
            return (
                "this is the port of the cluster itself, not of its clients: remove ray://"
                if client
                else None
            )
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return (
            "it rejects this machine's token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what "
            "`ray get-auth-token` prints on the head node"
        )
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return None if client else "another process of Ray, or of others, listens there: {advice}"
    if "http1" in details:
        return "an HTTP server listens there, such as the dashboard: {advice}"
    return "what listens there does not answer as Ray does: {advice}"


def _token() -> str | None:
    """The token that Ray would send, if it would send one and finds it."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return None
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError, ValueError):
        return (os.environ.get("RAY_AUTH_TOKEN") or path.read_text(encoding="utf-8")).strip() or None
    return None
