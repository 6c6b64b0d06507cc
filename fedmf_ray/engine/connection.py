"""Connects this process to a Ray cluster, or starts a local one; says in one line what is in the way."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from fedmf_ray.errors import FedMFError


def import_ray() -> Any:
    """Ray reads these when it is imported: no warnings about GPUs, about many actors, or about errors of
    calls whose results nobody asked for because an earlier one had failed."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "PYTHON worker processes have been started")
    import ray

    return ray


def connect(address: str | None) -> None:
    """``ray.init`` without noise, and with an error that says which cluster did not answer."""
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    ray = import_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if address == "local":
            ray.init(address="local", include_dashboard=False, **quiet)
            return
        _knock(address)
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "see the line above, or run with cluster.backend=serial"
        if address != "local":
            remedy = (
                "check cluster.address or RAY_ADDRESS, that `ray start --head` runs there, and RAY_AUTH_MODE"
            )
        reason = " ".join(str(error).split())[:200]
        raise FedMFError(f"Ray at {address!r} cannot be reached: {reason}; {remedy}") from error


def _knock(address: str, timeout_s: float = 5.0) -> None:
    """Fail within seconds where Ray itself would retry for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
