"""A user opens the sums of a round, and what that is charged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import OpeningCosts, UserCosts, cpu_clock
from fedmf_ray.costs.tariff import Tariff
from fedmf_ray.protocol.items import Ledger
from fedmf_ray.protocol.messages import Closed


def open_sums(ledger: Ledger, least: int, closed: Sequence[Closed | None]) -> tuple[Any, ...]:
    """An answer per server that has closed the round (None for the others), and what they took."""
    there = [one for one in closed if one is not None]
    started = cpu_clock()
    openings = ledger.open(there, least)
    cpu_s, answers = cpu_clock() - started, iter(openings)
    down, up = (sum(one.nbytes for one in some) for some in (there, openings))
    opened = OpeningCosts(cpu_s, down, up, len(there))
    return (*(None if one is None else next(answers) for one in closed), opened)


def opening_of(
    openings: Sequence[OpeningCosts],
    opener: int,
    costs: UserCosts,
    charge: Tariff | None,
    deployment: Deployment,
) -> tuple[OpeningCosts, float]:
    """What opening the sums of a round took (openings: each time), or is charged, and its seconds on the
    opener's device. Charged runs have no opener, and take the first user."""
    if charge:
        opening, opener = charge.opening(costs.upload_blocks), int(costs.user_id[0])
    else:
        opening = OpeningCosts(*(sum(column) for column in zip(*openings, strict=True)))
    return opening, deployment.opening_s(opener, opening) if opening.messages else 0.0
