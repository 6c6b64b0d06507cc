"""The device and the link of each user: they turn CPU seconds and bytes into that user's own seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import UserCosts
from fedmf_ray.scenario.schema import Scenario

Floats = NDArray[np.float64]

_DEVICE_STREAM = 6
"""Streams 0 to 5 of the same seed belong to vectors, splits and synthetic ratings."""

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Devices:
    """Charged time only: no result depends on it.

    upload_gbps, download_gbps: 10**9 bits per second. latency_s: each way.
    slowdown, slowdown_sigma: a device takes slowdown * exp(slowdown_sigma * z) times the CPU seconds
    charged, with z standard normal from the seed and the user's id.
    """

    upload_gbps: float
    download_gbps: float
    latency_s: float
    slowdown: float
    slowdown_sigma: float
    seed: int

    @classmethod
    def of(cls, scenario: Scenario) -> Devices:
        return cls(**scenario.network.model_dump(), **scenario.devices.model_dump(), seed=scenario.seed)

    def seconds(self, costs: UserCosts) -> Floats:
        """(5, users): download, decrypt, update, encrypt and upload of each user, on its own device."""
        slow = self.slowdowns(costs.user_id)
        return np.stack(
            [
                costs.download_bytes * 8 / (self.download_gbps * 1e9) + self.latency_s,
                costs.decrypt_cpu_s * slow,
                costs.update_cpu_s * slow,
                costs.encrypt_cpu_s * slow,
                costs.upload_bytes * 8 / (self.upload_gbps * 1e9) + self.latency_s,
            ]
        )

    def slowdowns(self, user_ids: NDArray[np.int64]) -> Floats:
        """(users,) factors; a user's depends on the seed and its id alone."""
        if not self.slowdown_sigma:
            return np.full(len(user_ids), self.slowdown)
        # One generator for 65,536 neighbouring ids: one a user would take minutes for millions of users.
        blocks, offsets = np.divmod(user_ids, _BLOCK)
        normal = np.empty(len(user_ids))
        for block in np.unique(blocks):
            stream = np.random.SeedSequence(self.seed, spawn_key=(_DEVICE_STREAM, int(block)))
            here = blocks == block
            normal[here] = np.random.default_rng(stream).normal(size=_BLOCK)[offsets[here]]
        return self.slowdown * np.exp(self.slowdown_sigma * normal)
