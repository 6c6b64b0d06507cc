"""Sections of a scenario that processes without pydantic use as they are: plain dataclasses, validated by it.

``__pydantic_config__`` and the annotations are read where a scenario is; here they are data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from fedmf_ray.checks import CHECKS


@dataclass(frozen=True)
class Participation:
    """Who takes part in a round, and whose upload does not arrive. Drawn from the seed."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    share: Annotated[float, Gt(0), Le(1)] = 1.0
    """Of the users is asked in each round, drawn anew."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Probability that an asked user's upload never arrives; its own vector has moved all the same."""
    late: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Probability that it arrives when the round is over: the server refuses it."""
    minimum: Annotated[float, Ge(0), Le(1)] | None = None
    """Least share of the asked users whose uploads a round must bring, or the run stops. If not given, all
    that were not drawn to drop out or be late."""

    def __post_init__(self) -> None:
        if self.dropout + self.late >= 1:
            raise ValueError("dropout and late leave no user in time: their sum must be below 1")


@dataclass(frozen=True)
class Network:
    """The link between one user and the server, for charged time only."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    upload_gbps: Annotated[float, Ge(1e-9), Le(1e6)] = 1.0
    """10**9 bits per second; from one bit per second to more than any link has."""
    download_gbps: Annotated[float, Ge(1e-9), Le(1e6)] = 1.0
    """The same, towards the user."""
    latency_s: Annotated[float, Ge(0), Le(1e6)] = 0.0
    """Added once per download and once per upload; no more than days."""


@dataclass(frozen=True)
class Devices:
    """How fast users' devices are, for charged time only."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    slowdown: Annotated[float, Ge(1e-6), Le(1e6)] = 1.0
    """A typical device takes this many times the CPU seconds charged here; within a million times."""
    slowdown_sigma: Annotated[float, Ge(0), Le(3)] = 0.0
    """Spread over users: the standard deviation of log(slowdown), drawn from the seed and the user id."""
