"""Which seconds are which: what users and server are charged, and the time a deployment would take.

*Measured*: every ``*_cpu_s`` is thread CPU time of that piece of work in this process, so neighbours on
the core do not inflate it. *Derived*: network seconds are counted bytes over the scenario's bandwidth
plus latency, and ``protocol_s`` of a round is the slowest user (download + decrypt + update + encrypt +
upload) plus the server's CPU time: what one device per user would take. ``wall_s`` is what this
simulation took and appears beside it, never in it.

Work that the simulation does once for several users is charged in full to each: all users of an actor
are charged the one decryption of the item matrix.

Updates are measured user by user in encrypted runs, where they are a small part of a round. In ``plain``
runs, where they are all of it, the users of a block are updated together, several times faster, and
each is charged its share by ratings: less than a device of its own would need.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # every user actor imports this module, and none needs the scenario's machinery
    from fedmf_ray.scenario import Network

cpu_clock = time.thread_time
"""The clock of everything that is charged."""


@dataclass(frozen=True)
class UserCosts:
    """What one user spends in one round (CPU seconds and wire bytes)."""

    user_id: int
    decrypt_cpu_s: float
    update_cpu_s: float
    encrypt_cpu_s: float
    download_bytes: int
    upload_bytes: int
    upload_rows: int

    @property
    def cpu_s(self) -> float:
        return self.decrypt_cpu_s + self.update_cpu_s + self.encrypt_cpu_s

    def network_s(self, network: Network) -> float:
        """Seconds on the wire: bytes over bandwidth, plus one latency each way."""
        down = self.download_bytes * 8 / (network.download_gbps * 1e9)
        up = self.upload_bytes * 8 / (network.upload_gbps * 1e9)
        return down + up + 2 * network.latency_s


def user_rows(round_number: int, costs: Sequence[UserCosts], network: Network) -> list[dict[str, Any]]:
    """Rows of ``users.csv.gz``: one per user, in order of id."""
    ordered = sorted(costs, key=lambda cost: cost.user_id)
    return [{"round": round_number, **asdict(c), "network_s": c.network_s(network)} for c in ordered]


def round_costs(costs: Sequence[UserCosts], server_cpu_s: float, network: Network) -> dict[str, Any]:
    """The cost columns of ``rounds.csv`` (see the module's text for what each second means)."""
    users = len(costs)
    slowest = max(c.cpu_s + c.network_s(network) for c in costs)
    return {
        "protocol_s": slowest + server_cpu_s,
        "user_cpu_s_max": max(c.cpu_s for c in costs),
        "user_decrypt_cpu_s_mean": sum(c.decrypt_cpu_s for c in costs) / users,
        "user_update_cpu_s_mean": sum(c.update_cpu_s for c in costs) / users,
        "user_encrypt_cpu_s_mean": sum(c.encrypt_cpu_s for c in costs) / users,
        "server_cpu_s": server_cpu_s,
        "network_s_max": max(c.network_s(network) for c in costs),
        "upload_bytes_total": sum(c.upload_bytes for c in costs),
        "download_bytes_total": sum(c.download_bytes for c in costs),
        "users": users,
    }
