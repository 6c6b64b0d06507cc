"""A dry plan: how long a round of a simulation would take on many machines, from unit costs of this one.

A round is the sum of its phases. Some shrink with the number of machines, some do not, and some grow: every
machine hands a sum to the servers and gets the item matrix, and one driver makes all calls. Nothing here was
run on so many machines: every figure is estimated.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from fedmf_ray.costs.tariff import Line
from fedmf_ray.engine.backends import Backend, Call
from fedmf_ray.engine.pieces import CALL_BLOCKS, CALL_RATINGS, COMBINED_RATINGS, shared_work
from fedmf_ray.planning.placement import MOST_READERS
from fedmf_ray.study.estimate import Estimate, Work

_SMALL_GAIN = 1.1
"""Twice the machines should make a round at least so many times faster, or it is saturated."""

_FAN_IN = 8
"""Sums that one combiner of a tree adds up."""

_CALLS, _ARGUMENTS, _TURNS = 500, 64, 3
"""Calls that are timed without references, and with so many; the fastest of some turns counts, because other
work on the machine only adds."""


class Phases(NamedTuple):
    """Seconds of one round, estimated. The order is that of a round; the driver works beside the users."""

    read: float
    """Users read the item matrix."""
    spread: float
    """The matrix, or what users have read of it, goes to each machine."""
    train: float
    """Users compute and protect their steps, and check and add them up where uploads are combined."""
    driver: float
    """One process makes all calls."""
    gather: float
    """Uploads, or sums of them, go to the servers."""
    add: float
    """Servers add them."""
    open: float
    """Users open the sums, where the scheme has that."""
    publish: float
    """Servers publish the next matrix."""

    @property
    def round_s(self) -> float:
        return sum(self) - min(self.train, self.driver)

    @property
    def limit(self) -> str:
        """The longest phase."""
        return max(self._asdict().items(), key=lambda phase: phase[1])[0]


class Driver(NamedTuple):
    """Seconds that the driver takes for a call of an actor, and for each reference that it passes on."""

    call_s: float
    reference_s: float


class _Idle:
    def nothing(self, *_: object) -> int:
        return 0


def measure_driver(backend: Backend) -> Driver:
    """Time calls that do nothing, as rounds make them; a second or two."""
    actors = [backend.start(_Idle) for _ in range(min(4, backend.cpus))]
    references = [backend.put(number) for number in range(_ARGUMENTS)]
    seconds = []
    for arguments in ((), tuple(references)):
        calls = [Call(actors[at % len(actors)], "nothing", arguments) for at in range(_CALLS)]
        for call in calls[: len(actors)]:  # processes start
            backend.get(backend.call(*call[:2], *arguments))
        seconds.append(min(_timed(backend, calls, 2 * len(actors)) for _ in range(_TURNS)) / _CALLS)
    for actor in actors:
        backend.end(actor)
    return Driver(seconds[0], max(0.0, seconds[1] - seconds[0]) / _ARGUMENTS)


def _timed(backend: Backend, calls: list[Call], limit: int) -> float:
    started = time.perf_counter()
    for _, (done,) in backend.stream(calls, limit):
        backend.get(done)
    return time.perf_counter() - started


@dataclass(frozen=True)
class DryPlan:
    """A simulation on machines of one kind.

    work: CPU seconds of a round. users, per_actor: None makes an actor per CPU. calls: that train, at least.
    matrix_bytes, read_bytes, sum_bytes, upload_bytes: the published matrix; what users have read of it; a sum
    of uploads; all uploads. add: an upload, by its pieces. pieces: of the matrix. cpus: of a machine.
    network: bytes per second that a machine can send or receive. tree: sums of machines are added up in a
    tree.
    """

    work: Work
    driver: Driver
    users: int
    per_actor: int | None
    calls: int
    matrix_bytes: int
    read_bytes: int
    sum_bytes: int
    upload_bytes: int
    add: Line
    pieces: int
    cpus: int
    network: float
    tree: bool = False
    local: bool = False
    """A process on each machine makes the calls of its actors, and the driver calls that process alone."""

    @classmethod
    def of(cls, estimate: Estimate, driver: Driver, cpus: int, gbit: float) -> DryPlan:
        """gbit: billions of bits per second, of a machine's network."""
        plan, unit = estimate.plan, estimate.simulated
        assert plan is not None
        assert unit is not None
        blocks, scheme = plan.terms.layout(estimate.first), plan.scheme
        matrix = blocks.count * scheme.block_bytes(blocks.shape)
        amounts = {step.name: step.pieces for step in estimate.steps}
        pieces = scheme.pieces(blocks.shape)
        if scheme.lightweight:
            shared = estimate.users * shared_work(blocks.shared_numbers, scheme.combines)
            calls = (amounts["update"] + shared) / (COMBINED_RATINGS if scheme.combines else CALL_RATINGS)
        else:
            calls = amounts["encrypt"] / pieces / CALL_BLOCKS
        asked = plan.scenario.cluster.users_per_actor
        return cls(
            work=estimate.work,
            driver=driver,
            users=estimate.users,
            per_actor=asked if isinstance(asked, int) else None,
            calls=math.ceil(calls),
            matrix_bytes=matrix,
            read_bytes=8 * blocks.count * blocks.columns if estimate.work.shared else 0,
            sum_bytes=matrix,
            upload_bytes=int(estimate.row["upload_bytes_total"]),
            add=unit.receive,
            pieces=blocks.count * pieces,
            cpus=cpus,
            network=gbit * 1e9 / 8,
        )

    def on(self, machines: int) -> Phases:
        """A round on so many machines."""
        work, shards = self.work, self.work.servers
        actors = -(-self.users // self.per_actor) if self.per_actor else min(self.users, machines * self.cpus)
        busy = min(actors, machines * self.cpus)
        readers = min(busy, MOST_READERS) if work.shared else 0
        senders = min(shards, machines)
        # Who has a value sends it to one machine after the other.
        spread = (machines - 1) * self.matrix_bytes / senders
        if readers:
            reading = min(readers, machines)
            spread = (reading - 1) * self.matrix_bytes / senders + (machines - 1) * self.read_bytes / reading
        sums = machines if 1 < machines < actors else actors  # of a machine among several, one sum
        passed: float = actors * (readers or shards) + (actors + sums) * shards + readers * shards
        train, gather, adding = work.train_s, self.upload_bytes / senders, work.receive_s / senders
        calls: float = max(self.calls, actors) + 2 * actors + sums * (1 + shards) + readers + 3 * shards
        if work.combined and actors < self.users:  # else each actor has one user, whose upload goes as it is
            train += work.receive_s
            here = min(self.cpus, -(-actors // machines)) if sums < actors else 0
            gather = sums * self.sum_bytes / senders
            adding = here * self._add_s(1) + sums * self._add_s(shards)
            if self.tree:
                levels = max(0, math.ceil(math.log(machines, _FAN_IN)))
                gather = levels * _FAN_IN * self.sum_bytes
                adding = (min(self.cpus, actors) + levels * _FAN_IN) * self._add_s(1)
                calls += machines * (1 / (_FAN_IN - 1) - shards)  # fewer sums reach the servers
        if self.local:
            calls, passed = (
                calls / machines + 4 * machines,
                passed / machines + machines * (readers or shards),
            )
        reading_s = work.decrypt_s / readers if readers else work.decrypt_s * max(1.0, actors / busy)
        return Phases(
            read=reading_s,
            spread=spread / self.network,
            train=train / busy,
            driver=calls * self.driver.call_s + passed * self.driver.reference_s,
            gather=gather / self.network if machines > 1 else 0.0,
            add=adding,
            open=work.opening.cpu_s,
            publish=work.publish_s / senders,
        )

    def _add_s(self, shards: int) -> float:
        """Adding one actor's sum, which may have all rows, to a range of the matrix."""
        return float(self.add(-(-self.pieces // shards)))

    def saturated(self, most: int) -> int | None:
        """The machines, doubled from one up to so many, of which twice as many gain little; None if none."""
        return next(
            (
                machines
                for machines in doubled(most)
                if self.on(machines).round_s < _SMALL_GAIN * self.on(2 * machines).round_s
            ),
            None,
        )

    def variants(self) -> dict[str, DryPlan]:
        """What could move the limit, by name."""
        shards = 8 * self.work.servers
        sharded = replace(self, work=replace(self.work, servers=shards))
        named = {"as it is": self, f"{shards} server shards": sharded}
        if self.work.combined:
            named["a tree of combiners"] = replace(self, tree=True)
            named["a local driver on each machine"] = replace(self, local=True)
            named[f"all three, {shards} shards"] = replace(sharded, tree=True, local=True)
        return named


def doubled(most: int) -> list[int]:
    """1, 2, 4 ... up to ``most``, which is the last."""
    return [1 << power for power in range(most.bit_length()) if 1 << power < most] + [most]
