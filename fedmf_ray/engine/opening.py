"""What users do for all in a round, opening sums and sealing tables, and its costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray import threads
from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import OpeningCosts, Step, Taken, UserCosts, cpu_clock
from fedmf_ray.costs.tariff import Tariff
from fedmf_ray.protocol.items import Ledger
from fedmf_ray.protocol.messages import Closed


def open_sums(ledger: Ledger, least: int, closed: Sequence[Closed | None], most: int = 1) -> tuple[Any, ...]:
    """An answer per server that has closed the round (None for the others), and what they took. most: threads
    that may work at it; the CPU seconds are those of all."""
    there = [one for one in closed if one is not None]
    started = cpu_clock()
    with threads.up_to(most):
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
) -> Taken:
    """What opening the sums of a round took, or is charged. CPU seconds are those of the slowest user of each
    step; bytes are of all who took part. Charged runs have no opener, and take the first user."""
    if charge:
        opening, opener = charge.opening(costs.upload_blocks), int(costs.user_id[0])
        return Taken(opening, deployment.opening_s(opener, opening) if opening.messages else 0.0)
    return taken(steps, user_ids, deployment)


def sealing_of(
    steps: Sequence[Step],
    user_ids: Sequence[int],
    charge: Tariff | None,
    deployment: Deployment,
    present: NDArray[np.int64],
) -> Taken:
    """What it took users to check and seal the tables that opened a round, or is charged: CPU seconds and
    bytes are of all of them. present: positions of those who could; charged runs take the first ones."""
    if charge:
        steps = [
            [(position, costs) for position in np.resize(present, count).tolist()]
            for count, costs in charge.sealing(len(present))
        ]
    found = taken(steps, user_ids, deployment)
    cpu_s = sum(costs.cpu_s for step in steps for _, costs in step)
    return found._replace(costs=found.costs._replace(cpu_s=cpu_s))


def taken(steps: Sequence[Step], user_ids: Sequence[int], deployment: Deployment) -> Taken:
    """What steps took, one after the other, whose users work side by side; user_ids: by position."""
    cpu_s, seconds, down, up, messages = 0.0, 0.0, 0, 0, 0
    for step in steps:
        took = [(deployment.opening_s(user_ids[position], one), one.cpu_s) for position, one in step]
        slowest = max(took)
        seconds, cpu_s = seconds + slowest[0], cpu_s + slowest[1]
        down += sum(one.download_bytes for _, one in step)
        up += sum(one.upload_bytes for _, one in step)
        messages += sum(one.messages for _, one in step)
    return Taken(OpeningCosts(cpu_s, down, up, messages), seconds)
