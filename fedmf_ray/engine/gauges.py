"""Figures to watch while a run goes on: on the Ray dashboard, or wherever its metrics are scraped."""

from __future__ import annotations

from typing import Any, Protocol

_FIGURES = {
    "round": "Number of the round that is under way",
    "phase": "0 between rounds, 1 users train and servers add, 2 users open the matrix, 3 checkpoint",
    "users_per_second": "Users trained per second of wall time in the last round",
    "train_mse": "Mean squared training error after the last round",
}


class Gauges(Protocol):
    def set(self, **figures: float) -> None:
        """Show these figures from now on."""


class NoGauges:
    """Shows nothing."""

    def set(self, **figures: float) -> None: ...


class RayGauges:
    """Gauges ``fedmf_round``, ``fedmf_phase``, ... of Ray's metrics."""

    def __init__(self) -> None:
        from ray.util import metrics

        self._gauges: dict[str, Any] = {
            name: metrics.Gauge(f"fedmf_{name}", description=text) for name, text in _FIGURES.items()
        }

    def set(self, **figures: float) -> None:
        for name, value in figures.items():
            self._gauges[name].set(value)
