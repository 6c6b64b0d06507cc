"""The main loop: users and a server on a backend, round after round."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.devices import Devices
from fedmf_ray.costs.seconds import CHARGED, MEASURED, RoundCosts, UserCosts, user_columns
from fedmf_ray.costs.tariff import Tariff, UnitCosts
from fedmf_ray.costs.unit_costs import measure, typical
from fedmf_ray.engine.answers import Hosting, Report
from fedmf_ray.engine.backends import Backend, Lost
from fedmf_ray.engine.crew import Crew, Events
from fedmf_ray.engine.observation import recorded_rounds, view_of
from fedmf_ray.engine.progress import Progress
from fedmf_ray.engine.training import Trainer, Training
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.metrics import Losses, combine
from fedmf_ray.planning.participation import ABSENT, IN_TIME, Fates, Participation
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.views import Agreed, View
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.storage.checkpoints import Checkpoints

_ATTEMPTS = 9
"""After so many failures with nothing done in between, something is wrong that no restart mends."""

Row = dict[str, Any]
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Opening:
    """How training stands when users have opened a published matrix, from the sums they report.

    user_change, item_change: mean absolute change of U and V over the round that led here.
    """

    losses: Losses
    user_change: float
    item_change: float


class Round(NamedTuple):
    """What a round leaves behind: a row of ``rounds.csv``, columns of ``users.csv.gz``, a recorded view."""

    row: Row
    users: Columns
    view: View | None = None


def no_events(_event: str, **_facts: object) -> None:
    """For those who do not keep a record."""


_unit_costs: dict[tuple[Any, ...], UnitCosts] = {}
"""Measured once for a place and a setting, so that the cells of a study are charged alike."""


def tariff(plan: Plan, actors: int, backend: Backend) -> Tariff:
    """What a plan's work costs where it runs, with as many CPUs busy at once as the run keeps busy."""
    busy = min(actors, backend.cpus)
    setting = (plan.scheme, plan.matrices.key_bits, typical(plan.terms.layout), plan.terms.rule)
    at = (backend.name, busy, *setting)
    if at not in _unit_costs:
        measured = [backend.run(measure, *setting) for _ in range(busy)]
        _unit_costs[at] = UnitCosts.mean([backend.get(reference) for reference in measured])
    return plan.tariff(_unit_costs[at])


class Federation:
    """Starts users and servers; :meth:`rounds` drives them."""

    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        backend: Backend,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
        events: Events = no_events,
        resume: bool = False,
    ) -> None:
        """resume: go on from the newest checkpoint that can be read, instead of from the start."""
        self._scenario, self._backend = scenario, backend
        self._devices, self._user_ids = Devices.of(scenario), plan.population.user_ids
        self._participation = Participation.of(scenario, len(self._user_ids))
        self._events, self._gauges = events, backend.gauges()
        self.status, self._layout = "complete", plan.terms.layout
        self.agreed: Agreed | None = plan.agreed

        groups = plan.place(scenario.cluster.users_per_actor, backend.cpus, backend.memory_bytes)
        layout = plan.layout_line()
        progress.note(f"{len(self._user_ids)} users in {len(groups)} actors, {plan.terms.blocks.items} items")
        progress.note(layout)
        if plan.terms.census(0):
            progress.note(
                "a census comes first: in round 1 users count the raters of each item, and learn nothing"
            )
        if plan.scheme == "packed":
            progress.note(f"arithmetic: {kernels.description()}")

        self._observe, self._recorded = scenario.observe, recorded_rounds(scenario, plan)
        self._tariff = tariff(plan.charged, len(groups), backend) if plan.charged else None
        self._basis = CHARGED if self._tariff else MEASURED
        # A server that is observed must see every upload; one user's needs no adding up.
        watched = self._observe is not None and self._observe.who == "server"
        hosting = Hosting(
            plan.together, combine=not watched and len(groups) < len(self._user_ids), tariff=self._tariff
        )
        limit = scenario.cluster.in_flight or 2 * backend.cpus
        self._crew = crew = Crew(
            plan, hosting, groups, backend, self._participation, checkpoints, self._recorded, limit, events
        )
        started = time.perf_counter()
        opening = self._set_up(resume)
        self._trainer = Trainer(crew, hosting.combine, progress)
        self.first_round = crew.round
        self._written = crew.round
        self.setup: Row = {
            "keys_cpu_s": backend.get(crew.keys_cpu_s),
            "wall_s": time.perf_counter() - started,
            "initial_train_mse": opening.losses.train_mse,
        }
        how = "measured per block of users, shared by ratings" if plan.together else "measured per user"
        self.facts: Row = {
            "backend": scenario.cluster.backend,
            "cluster_cpus": backend.cpus,
            "users": len(self._user_ids),
            "items": plan.terms.blocks.items,
            "user_actors": len(groups),
            "users_per_actor": max(map(len, groups)),
            "server_shards": plan.terms.blocks.servers,
            "layout": layout,
            "update_cpu_s": "charged" if self._tariff else how,
            "uploads_combined": hosting.combine,
        }
        if self._tariff:
            self.facts["unit_costs"] = self._tariff.unit.named()

    def _set_up(self, resume: bool) -> Opening:
        """Everybody starts and opens the first matrix; if somebody dies meanwhile, all start again."""
        crew, reason = self._crew, Lost()
        for _ in range(_ATTEMPTS):
            try:
                if resume:
                    crew.restore()
                else:
                    crew.found()
                opening = self._summed(crew.open(crew.round))
                crew.await_servers()
                crew.checkpoint(crew.round, last=False)
                return opening
            except Lost as error:
                self._events("set_up_failed", reason=str(error))
                reason = error
        raise FedMFError(
            "Ray workers keep dying while users are set up (most often for lack of memory): raise "
            f"cluster.users_per_actor; Ray says: {reason}"
        ) from reason

    def rounds(self) -> Iterator[Round]:
        """Drive rounds until the scenario says stop; yields what there is to write after each.

        After a failure that costs more than a round's work, goes back to the last checkpoint; rounds that
        were written already come out the same and are not written again.
        """
        stop, crew, failures = self._scenario.stop, self._crew, 0
        while crew.round < stop.rounds:
            number = crew.round
            try:
                done, opening = self._round(number)
            except Lost as error:
                failures += 1
                self._go_back(number, error, failures)
                continue
            failures = 0
            if number >= self._written:
                self._written = number + 1
                yield done
            if stop.tolerance and max(opening.user_change, opening.item_change) < stop.tolerance:
                self.status = "converged"
                break
        crew.checkpoint(crew.round, last=True)

    def closing(self) -> Row:
        """What there is to say at the end of a run."""
        saved = self._crew.checkpoints
        said: Row = {"checkpoints": {"written": saved.written, "wall_s": saved.wall_s}} if saved else {}
        lists = self._scenario.metrics.lists
        if lists:
            ranking = self._crew.rank(lists)
            said |= {"ranking": ranking._asdict()} if ranking else {}
        return said

    def interrupt(self) -> None:
        """Save where training stands, if it can be done; the last checkpoint serves otherwise."""
        try:
            self._crew.checkpoint(self._crew.round, last=True)
        except Lost as error:
            self._events("checkpoint_failed", round=self._crew.round, reason=str(error))

    def _round(self, number: int) -> tuple[Round, Opening]:
        crew, gauges = self._crew, self._gauges
        started = time.perf_counter()
        fates = self._participation.fates(number)
        gauges.set(round=number, phase=1)
        work = self._trainer.train(number, fates)
        self._count(number, work, fates)
        view = view_of(number, self._scenario, self._crew) if number in self._recorded else None
        gauges.set(phase=2)
        opening = self._summed(self._opened(number + 1))
        gauges.set(phase=3)
        self._checkpointed(number + 1)
        costs = UserCosts.join(work.costs.values())
        server_cpu_s = work.server_cpu_s
        if self._tariff:
            server_cpu_s = self._tariff.receive_cpu_s(costs.upload_blocks) + self._tariff.publish_cpu_s
        parts = self._devices.seconds(costs)
        in_time = fates[np.searchsorted(np.array(self._user_ids), costs.user_id)] == IN_TIME
        charged = RoundCosts()
        charged.add(costs, parts, in_time)
        wall_s = time.perf_counter() - started
        gauges.set(phase=0, users_per_second=len(costs.user_id) / wall_s, train_mse=opening.losses.train_mse)
        row: Row = {
            "round": number,
            **opening.losses._asdict(),
            **charged.row(server_cpu_s, self._basis),
            "uploads": work.added,
            "refused": len(work.refused),
            "user_actors": len(crew.users),
            "wall_s": wall_s,
        }
        columns = user_columns(number, self._basis, costs, self._devices.slowdowns(costs.user_id), parts)
        return Round(row, columns, view), opening

    def _opened(self, number: int) -> list[Report]:
        """Users open a round; those who die on the way come back and open it, too."""
        for _ in range(_ATTEMPTS):
            try:
                return self._crew.open(number)
            except Lost:
                self._crew.heal(number)
        raise Lost("processes keep dying")

    def _checkpointed(self, number: int) -> None:
        last = number == self._scenario.stop.rounds
        for _ in range(_ATTEMPTS):
            try:
                return self._crew.checkpoint(number, last)
            except Lost:
                self._crew.heal(number)
        raise Lost("processes keep dying")

    def _go_back(self, number: int, error: Lost, failures: int) -> None:
        """Everybody starts again from the last checkpoint."""
        while failures <= _ATTEMPTS:
            try:
                self._crew.restore()
                self._crew.open(self._crew.round)
            except Lost as again:
                failures += 1
                self._events("restore_failed", round=number, reason=str(again))
                continue
            self._events("went_back", round=number, action=f"restored from round {self._crew.round}")
            return
        raise FedMFError(f"processes keep dying in round {number}: {error}") from error

    def _count(self, number: int, work: Training, fates: Fates) -> None:
        """Nobody is lost in silence."""
        if work.refused:
            self._events("refused", round=number, reasons=dict(Counter(work.refused.values())))
        least, asked = self._participation.least(fates), int((fates != ABSENT).sum())
        if work.added < least:
            raise FedMFError(
                f"round {number}: the uploads of {work.added} of {asked} users arrived, {least} are needed "
                f"(participation.minimum): {work.commonest_refusal}"
            )

    def _summed(self, reports: list[Report]) -> Opening:
        """How training stands, from the sums that users report."""
        entries = len(self._user_ids) * self._layout.learned
        changes = np.concatenate([report.vector_change for report in reports])
        return Opening(
            combine(report.errors for report in reports),
            math.fsum(changes.tolist()) / entries,
            reports[0].item_change,
        )
