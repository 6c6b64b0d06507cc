"""A user opens the sums of a round, and what that is charged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import OpeningCosts, Step, UserCosts, cpu_clock
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
    steps: Sequence[Step],
    user_ids: Sequence[int],
    costs: UserCosts,
    charge: Tariff | None,
    deployment: Deployment,
) -> tuple[OpeningCosts, float]:
    """What opening the sums of a round took, or is charged, and its seconds: those of the slowest user of
    each step, on its own device. CPU seconds are theirs; bytes are of all who took part. Charged runs have no
    opener, and take the first user."""
    if charge:
        opening, opener = charge.opening(costs.upload_blocks), int(costs.user_id[0])
        return opening, deployment.opening_s(opener, opening) if opening.messages else 0.0
    cpu_s, seconds, down, up, messages = 0.0, 0.0, 0, 0, 0
    for step in steps:
        took = [(deployment.opening_s(user_ids[position], one), one.cpu_s) for position, one in step]
        slowest = max(took)
        seconds, cpu_s = seconds + slowest[0], cpu_s + slowest[1]
        down += sum(one.download_bytes for _, one in step)
        up += sum(one.upload_bytes for _, one in step)
        messages += sum(one.messages for _, one in step)
    return OpeningCosts(cpu_s, down, up, messages), seconds
