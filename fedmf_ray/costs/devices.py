"""The device and the link of each user: they turn CPU seconds and bytes into that user's own seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import OpeningCosts, UserCosts
from fedmf_ray.scenario.sections import Devices, Network

Floats = NDArray[np.float64]

_DEVICE_STREAM = 6
"""docs/architecture.md lists the streams of a seed."""

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Deployment:
    """What users' links and devices are like. Charged time only: no result depends on it.

    A device takes slowdown * exp(slowdown_sigma * z) times the CPU seconds charged, with z standard normal
    from the seed and the user's id.
    """

    network: Network
    devices: Devices
    seed: int

    def seconds(self, costs: UserCosts) -> Floats:
        """(5, users): download, decrypt, update, encrypt and upload of each user, on its own device."""
        slow, network = self.slowdowns(costs.user_id), self.network
        return np.stack(
            [
                costs.download_bytes * 8 / (network.download_gbps * 1e9) + network.latency_s,
                costs.decrypt_cpu_s * slow,
                costs.update_cpu_s * slow,
                costs.encrypt_cpu_s * slow,
                costs.upload_bytes * 8 / (network.upload_gbps * 1e9) + network.latency_s,
            ]
        )

    def opening_s(self, user_id: int, opening: OpeningCosts) -> float:
        """Seconds that an opening takes a user on its own device, with a message each way for every
        server."""
        network, slow = self.network, float(self.slowdowns(np.array([user_id]))[0])
        down_s = opening.download_bytes * 8 / (network.download_gbps * 1e9)
        up_s = opening.upload_bytes * 8 / (network.upload_gbps * 1e9)
        return down_s + opening.cpu_s * slow + up_s + 2 * (opening.messages > 0) * network.latency_s

    def slowdowns(self, user_ids: NDArray[np.int64]) -> Floats:
        """(users,) factors; a user's depends on the seed and its id alone."""
        sigma, typical = self.devices.slowdown_sigma, self.devices.slowdown
        if not sigma:
            return np.full(len(user_ids), typical)
        # One generator for 65,536 consecutive ids: one per user would take minutes for millions of users.
        blocks, offsets = np.divmod(user_ids, _BLOCK)
        normal = np.empty(len(user_ids))
        for block in np.unique(blocks):
            stream = np.random.SeedSequence(self.seed, spawn_key=(_DEVICE_STREAM, int(block)))
            here = blocks == block
            normal[here] = np.random.default_rng(stream).normal(size=_BLOCK)[offsets[here]]
        return typical * np.exp(sigma * normal)
