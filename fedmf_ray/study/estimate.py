"""Estimates from measured unit costs: what a scenario costs, without running it.

    unit costs of this machine  ×  the scenario's layout and users  =  a row like those of rounds.csv

Nothing is trained, and of synthetic users only their number of ratings is drawn: ten million take
seconds. ``basis`` of such a row is ``estimated``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import ESTIMATED, NO_OPENING, OpeningCosts, RoundCosts, Taken
from fedmf_ray.costs.tariff import Step, Tariff, UnitCosts
from fedmf_ray.engine.backends import Backend
from fedmf_ray.engine.opening import sealing_of
from fedmf_ray.engine.pricing import tariff
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning import placement
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.participation import ABSENT, IN_TIME, LATE, Attendance, Fates, those_there
from fedmf_ray.planning.placement import Memory, memory_of
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.study.cells import table_value


@dataclass(frozen=True)
class Work:
    """CPU seconds of one round in a simulation, by what can be done side by side.

    decrypt_s: opening the item matrix. train_s: all users' updates and encryptions. receive_s: checking and
    adding all uploads. publish_s: the servers.
    shared: actors read a part of the matrix each, instead of all of it. combined: they also check and add
    up uploads, instead of so many servers. opening: of the sums, by one user, where that must be.
    """

    decrypt_s: float
    train_s: float
    receive_s: float
    publish_s: float
    shared: bool
    combined: bool
    servers: int
    opening: OpeningCosts = NO_OPENING
    sealing_cpu_s: float = 0.0
    """Checking and sealing what is published, by users who share that."""

    def wall_s(self, actors: int, cpus: int) -> float:
        """Seconds of a round with actors that run on so many CPUs; servers add while users train."""
        busy = min(actors, cpus)
        readers = min(busy, placement.MOST_READERS)
        opening = self.decrypt_s / readers if self.shared else self.decrypt_s * max(1.0, actors / cpus)
        if self.combined:
            working = (self.train_s + self.receive_s) / busy
        else:
            working = max(
                self.train_s / busy,
                (self.train_s + self.receive_s) / cpus,
                self.receive_s / min(self.servers, cpus),
            )
        together = self.opening.cpu_s + self.sealing_cpu_s / busy
        return opening + working + self.publish_s / min(self.servers, cpus) + together

    def cpu_s(self, actors: int) -> float:
        reading = self.decrypt_s * (1 if self.shared else actors)
        together = self.opening.cpu_s + self.sealing_cpu_s
        return reading + self.train_s + self.receive_s + self.publish_s + together


@dataclass(frozen=True)
class Estimate:
    """What a scenario will cost.

    row: the cost columns of ``rounds.csv``, of most rounds. rounds: how many at most. users, actors: in this
    placement. deployed_cpu_s: a round's CPU seconds of all users' devices (of this machine's speed) and the
    server.
    """

    row: dict[str, Any]
    rounds: int
    users: int
    actors: int
    deployed_cpu_s: float
    work: Work
    memory: Memory
    layout: str
    unit: UnitCosts
    steps: tuple[Step, ...] = ()
    """What a round's CPU seconds are made of: they add up to ``deployed_cpu_s``."""
    first: int = 0
    """The first round of those that this is of."""
    others: tuple[Estimate, ...] = ()
    """Rounds in which other shared tables are there; ``rounds`` of each says how many."""
    plan: Plan | None = None
    """Of the simulation itself, and its unit costs: those of a calibrated run are not what it charges."""
    simulated: UnitCosts | None = None

    @property
    def totals(self) -> dict[str, float]:
        """Of all rounds: CPU where users are devices, and in this simulation; its memory as placed."""
        alike = self.rounds - sum(other.rounds for other in self.others)
        kinds = [(alike, self), *((other.rounds, other) for other in self.others)]
        return {
            "deployed_cpu_s": sum(count * one.deployed_cpu_s for count, one in kinds),
            "simulation_cpu_s": sum(count * one.work.cpu_s(self.actors) for count, one in kinds),
            "simulation_wall_s": sum(count * one.row["wall_s"] for count, one in kinds),
            "simulation_memory_bytes": self.memory.whole(self.actors, self.users),
        }

    def machines(self, cpus: int, memory_gb: float, within_s: float) -> int:
        """How many machines of so many CPUs and so much memory simulate any round within a time.

        There is one actor per CPU, which also checks and adds up its users' uploads; each server has a CPU
        of its own. Raises :class:`FedMFError` with the reason if no number of machines can.
        """
        each = [other.machines(cpus, memory_gb, within_s) for other in self.others]
        work, memory = self.work, self.memory
        alone = work.publish_s / work.servers + (0.0 if work.shared else work.decrypt_s)
        if alone >= within_s:
            raise FedMFError(
                f"no number of machines will do: {alone:,.3g} s of a round are work that is not shared; "
                "more servers (cluster.server_shards) publish faster"
            )
        divided = work.train_s + work.receive_s + (work.decrypt_s if work.shared else 0.0)
        choices = []
        for actors in range(1, cpus + 1):  # fewer actors than CPUs where memory is short
            room = memory_gb * 1e9 - actors * memory.actor
            if room > 0 and memory.server < memory_gb * 1e9:
                for_time = divided / (within_s - alone) / actors
                choices.append(math.ceil(max(1, for_time, memory.total(0, self.users) / room)))
        if not choices:
            raise FedMFError(
                f"{memory_gb:g} GB hold neither an actor ({memory.actor / 1e9:.2g} GB) nor the server "
                f"({memory.server / 1e9:.2g} GB)"
            )
        return max(min(choices), *each, 1)


def estimate(scenario: Scenario, backend: Backend) -> Estimate:
    """Estimate a run of this scenario on this backend (a few seconds: unit costs are measured there).

    Raises :class:`FedMFError` for what :func:`fedmf_ray.engine.run.run` would refuse, except that it
    does not fit the memory here.
    """
    if scenario.model.central:
        named = scenario.model.algorithm
        raise FedMFError(f"model.algorithm: {named} has no protocol whose cost could be estimated")
    plan = Plan.of(scenario)
    costed = plan.charged or plan
    users = len(plan.population.user_ids)
    actors = placement.actor_count(users, scenario.cluster.users_per_actor, backend.cpus)
    attendance = Attendance(scenario.participation, users, scenario.seed)
    prices, fates = tariff(costed, actors, attendance.asked, backend), attendance.fates(0)
    # A calibrated run simulates in the clear: what it takes here is not what it charges.
    own = tariff(plan, actors, attendance.asked, backend) if plan.charged else prices
    deployment = Deployment(scenario.network, scenario.devices, scenario.seed)

    def of(rounds: list[int]) -> Estimate:
        """Of rounds that are alike."""
        at = rounds[0]
        costs, deployed, steps = _priced(costed, prices.at(at), deployment, fates, actors)
        here = _priced(plan, own.at(at), deployment, fates, actors)[1] if plan.charged else deployed
        server_cpu_s = deployed.receive_s + deployed.publish_s
        arriving = {"uploads": int((fates == IN_TIME).sum()), "refused": int((fates == LATE).sum())}
        in_time = np.flatnonzero(fates == IN_TIME)
        opener = plan.population.user_ids[int(in_time[0])] if len(in_time) else 0
        open_s = deployment.opening_s(opener, deployed.opening) if deployed.opening.messages else 0.0
        user_ids = plan.population.user_ids
        sealing = sealing_of([], user_ids, prices.at(at), deployment, those_there(fates))
        row = costs.row(server_cpu_s, ESTIMATED, Taken(deployed.opening, open_s), sealing) | arriving
        return Estimate(
            row={**row, "user_actors": actors, "wall_s": here.wall_s(actors, backend.cpus)},
            rounds=len(rounds),
            users=users,
            actors=actors,
            deployed_cpu_s=costs.user_cpu_s + server_cpu_s + deployed.opening.cpu_s + sealing.costs.cpu_s,
            work=here,
            memory=memory_of(plan),
            layout=layout_line(costed),
            unit=prices.unit,
            steps=tuple(steps),
            first=at,
            plan=plan,
            simulated=own.unit,
        )

    *others, most = sorted(_alike(costed.terms.blocks, scenario.stop.rounds), key=len)
    return replace(of(most), rounds=scenario.stop.rounds, others=tuple(map(of, others)))


def _alike(blocks: Blocks, rounds: int) -> list[list[int]]:
    """Rounds in which the same tables are read, and the same added to."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for number in range(rounds):
        kinds.setdefault((blocks.opening(number).count, blocks.at(number).count), []).append(number)
    return list(kinds.values())


def _priced(
    plan: Plan, prices: Tariff, deployment: Deployment, fates: Fates, actors: int
) -> tuple[RoundCosts, Work, list[Step]]:
    """A round of a plan at these prices: what users are charged, the work that it is, and its parts."""
    costs, receive_cpu_s, done, blocks, ratings = RoundCosts(), 0.0, 0, list[Any](), 0
    rated_blocks, reading_cpu_s = 0, 0.0
    passing = len((prices.read or prices.blocks).shared) - len(prices.blocks.shared)
    for some in plan.population.uploads(prices.blocks, plan.terms.part_text_sparsity):
        some = some._replace(rated_blocks=some.rated_blocks + passing)  # of the tables that are read
        asked = fates[done : done + len(some.user_ids)] != ABSENT
        done += len(some.user_ids)
        if not asked.any():
            continue
        charged = prices.users(*(column[asked] for column in some))
        receive_cpu_s += prices.receive_cpu_s(charged.upload_blocks)
        costs.add(charged, deployment.seconds(charged))
        blocks.append(charged.upload_blocks)
        ratings += int(some.ratings[asked].sum())
        rated_blocks += int(some.rated_blocks[asked].sum())
        reading_cpu_s += float(charged.decrypt_cpu_s.sum())
    work = Work(
        prices.read_cpu_s,  # whatever users are charged of it
        costs.user_cpu_s - reading_cpu_s,
        receive_cpu_s,
        prices.publish_cpu_s,
        shared=not plan.scheme.lightweight,
        combined=actors < len(fates) and plan.scheme.combines,
        servers=plan.terms.blocks.servers,
        opening=prices.opening(np.concatenate(blocks)),
        sealing_cpu_s=sum(count * each.cpu_s for count, each in prices.sealing(len(those_there(fates)))),
    )
    uploaded = np.concatenate(blocks)
    steps = prices.steps(len(uploaded), ratings, int(uploaded.sum()), rated_blocks, len(those_there(fates)))
    return costs, work, steps


def write_rows(output: Path, estimates: Sequence[tuple[dict[str, Any], Estimate]]) -> Path:
    """A table like ``study.csv``, for the same pictures: swept keys, then the columns of a round."""
    rows = [
        {
            "cell": cell,
            **{key: table_value(value) for key, value in keys.items()},
            "round": 0,
            **estimated.row,
        }
        for cell, (keys, estimated) in enumerate(estimates)
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(output, index=False)
    return output
