"""The main loop: users and servers on a backend, round after round."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import CHARGED, MEASURED, RoundCosts, UserCosts, user_columns
from fedmf_ray.costs.tariff import Tariff
from fedmf_ray.engine.answers import Hosting, Report
from fedmf_ray.engine.backends import Backend
from fedmf_ray.engine.crew import Crew, Events
from fedmf_ray.engine.facts import facts_of, placed
from fedmf_ray.engine.measured import of_round
from fedmf_ray.engine.observation import agreed_of, recorded_rounds, view_of
from fedmf_ray.engine.opening import opening_of, sealing_of
from fedmf_ray.engine.persistence import Lost, persist, persist_in_round
from fedmf_ray.engine.pricing import tariff
from fedmf_ray.engine.progress import Progress
from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.engine.stopping import Stopping
from fedmf_ray.engine.training import Trainer, Training
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.metrics import Losses, combine
from fedmf_ray.planning.layout import notes
from fedmf_ray.planning.participation import ABSENT, IN_TIME, Attendance, Fates, those_there
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.views import Agreed, View
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.storage.checkpoints import Checkpoints
from fedmf_ray.tables import RATERS

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
    """Keeps no record."""


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
        self._scenario, self._plan, self._backend = plan.scenario, plan, backend
        self._deployment = Deployment(scenario.network, scenario.devices, scenario.seed)
        self._user_ids = plan.population.user_ids
        self._attendance = Attendance(scenario.participation, len(self._user_ids), scenario.seed)
        self._events, self._gauges = events, backend.gauges()
        self.status, self.stopping = "complete", Stopping(scenario.stop)
        self.agreed: Agreed | None = agreed_of(plan)

        groups = placed(plan, backend)
        if waiting := backend.prepare(len(groups), ServerActor, plan.terms.blocks.servers):
            progress.note(waiting)
        self._recorded = recorded_rounds(scenario, plan)
        self._tariff: Tariff | None = None
        if plan.charged:
            self._tariff = tariff(plan.charged, len(groups), self._attendance.asked, backend)
        # A server that is observed must see every upload; one user's needs no adding up.
        watched = scenario.observe is not None and scenario.observe.who == "server"
        combine = not watched and plan.scheme.combines and len(groups) < len(self._user_ids)
        traits = backend.apart, plan.rated, backend.threads
        hosting = Hosting(plan.scheme.lightweight, combine, self._tariff, *traits)
        self._crew = Crew(
            plan, hosting, groups, backend, self._attendance, checkpoints, self._recorded, events
        )
        self._announce(progress, len(groups))
        started = time.perf_counter()
        opening = persist(lambda: self._set_up(resume), self._set_up_failed, _cannot_set_up)
        self._trainer = Trainer(self._crew, combine, progress, self._attendance.least, self._count)
        self.first_round = self._written = self._crew.round
        self.setup: Row = {
            "keys_cpu_s": self._crew.enrolment.keys_cpu_s,
            "wall_s": time.perf_counter() - started,
            "initial_train_mse": opening.losses.train_mse,
        }
        self.setup |= self._crew.chair.setup if self._crew.chair else {}
        self.facts = facts_of(scenario, plan, backend, groups, hosting, self._tariff) | self._crew.council()

    def _announce(self, progress: Progress, actors: int) -> None:
        plan, more = self._plan, "s" if actors > 1 else ""
        hosts = f"{len(self._user_ids)} users in {actors} actor{more}, {plan.terms.blocks.items} items"
        for note in (hosts, *notes(plan)):
            progress.note(note)

    def _set_up(self, resume: bool) -> Opening:
        """Start all processes and open the first matrix. It may be called again after a failure."""
        crew = self._crew
        (crew.restore if resume else crew.found)()
        opening = self._summed(crew.open(crew.round))
        crew.await_servers()
        crew.checkpoint(crew.round, last=False)
        return opening

    def _set_up_failed(self, error: Lost) -> None:
        self._events("set_up_failed", reason=str(error))

    def rounds(self) -> Iterator[Round]:
        """Drive rounds until the scenario says stop; yields what there is to write after each.

        After a failure that costs more than a round's work, goes back to the last checkpoint; rounds that
        were written already come out the same and are not written again. What opens a round is saved when
        the round before is written, so that no resumed run lacks a row.
        """
        stop, crew = self._scenario.stop, self._crew
        while crew.round < stop.rounds and not self.stopping.over(crew.round):
            persist(self._save, self._go_back, self._give_up)
            done, opening = persist(self._round, self._go_back, self._give_up)
            number = done.row["round"]
            if number >= self._written:
                self._written = number + 1
                self.stopping.learn(number, done.row["test_rmse"])
                yield done
            if stop.tolerance and max(opening.user_change, opening.item_change) < stop.tolerance:
                self.status = "converged"
                break
        self._save_the_end()

    def closing(self) -> Row:
        """What there is to say of a run, however it ended."""
        saved, moved = self._crew.checkpoints, self._backend.moved()
        closing: Row = {"checkpoints": {"written": saved.written, "wall_s": saved.wall_s}} if saved else {}
        if moved:
            closing["between_nodes"] = moved
        return closing | self._list_costs()

    def ranking(self) -> Row:
        """How good users' lists are, if the scenario asks for it and users can say."""
        lists = self._scenario.metrics.lists
        ranking = self._crew.rank(lists) if lists else None
        return ranking.row() if ranking else {}

    def _list_costs(self) -> Row:
        """What lists take beside rounds: the rest of the tables, or under rules of lists, all; means."""
        if not (self._plan.lists_take_more and self._crew.users):
            return {}
        backend = self._backend
        try:
            each = backend.get([backend.call(actor, "list_costs") for actor in self._crew.users])
        except (Lost, FedMFError):  # the run is over
            return {}
        bytes_, cpu_s = (float(np.concatenate(column).mean()) for column in zip(*each, strict=True))
        return {"lists": {"basis": self._basis, "download_bytes_mean": bytes_, "decrypt_cpu_s_mean": cpu_s}}

    def interrupt(self, written: int) -> None:
        """Save where training stands, if it can be done; the last checkpoint serves otherwise."""
        if self._crew.round > written:
            return  # a resumed run would lack the row of the round before
        try:
            self._crew.checkpoint(self._crew.round, last=True)
        except Lost as error:
            self._events("checkpoint_failed", round=self._crew.round, reason=str(error))

    def _save(self) -> None:
        """Save what opens a round, if it is due."""
        crew = self._crew
        self._gauges.set(phase=3)
        self._healing(crew.round, lambda: crew.checkpoint(crew.round, last=False))

    def _save_the_end(self) -> None:
        """All results are written: without a last checkpoint the run is complete all the same."""
        crew = self._crew
        self._gauges.set(phase=3)
        try:
            self._healing(crew.round, lambda: crew.checkpoint(crew.round, last=True))
        except Lost as error:
            self._events("checkpoint_failed", round=crew.round, reason=str(error))

    def _round(self) -> tuple[Round, Opening]:
        """The phases of one round (:mod:`fedmf_ray.protocol.round`), and what they cost."""
        crew, gauges, number = self._crew, self._gauges, self._crew.round
        started = time.perf_counter()
        fates = self._attendance.fates(number)
        gauges.set(round=number, phase=1)
        work = self._trainer.train(number, fates)
        self._count(number, work, fates)
        view = view_of(number, self._scenario, self._plan, crew) if number in self._recorded else None
        gauges.set(phase=2)
        opening = self._summed(self._healing(number + 1, lambda: crew.open(number + 1)))
        for reason in self._backend.refused():
            self._events("node_refused", round=number, reason=reason)
        costs = UserCosts.join(work.costs.values())
        parts = self._deployment.seconds(costs)
        charge = self._tariff and self._tariff.at(number)
        opened = opening_of(work.openings, self._user_ids, costs, charge, self._deployment)
        sealed = sealing_of(
            crew.sharing.steps.get(number, []), self._user_ids, charge, self._deployment, those_there(fates)
        )
        server_cpu_s = charge.server_cpu_s(costs.upload_blocks) if charge else work.server_cpu_s
        wall_s = time.perf_counter() - started
        gauges.set(phase=0, users_per_second=len(costs.user_id) / wall_s, train_mse=opening.losses.train_mse)
        row: Row = {
            "round": number,
            **opening.losses._asdict(),
            **self._charged(costs, parts, fates).row(server_cpu_s, self._basis, opened, sealed),
            "uploads": work.added,
            "refused": len(work.refused),
            "user_actors": len(crew.users),
            "wall_s": wall_s,
            **of_round(number, self._scenario.metrics, RATERS in self._plan.terms.items, self.ranking),
        }
        slowdowns = self._deployment.slowdowns(costs.user_id)
        each = user_columns(number, self._basis, costs, slowdowns, parts)
        written = self._scenario.results.each_user(len(self._user_ids))
        return Round(row, each if written else {}, view), opening

    @property
    def _basis(self) -> str:
        return CHARGED if self._tariff else MEASURED

    def _charged(self, costs: UserCosts, parts: NDArray[np.float64], fates: Fates) -> RoundCosts:
        in_time = fates[np.searchsorted(np.array(self._user_ids), costs.user_id)] == IN_TIME
        charged = RoundCosts()
        charged.add(costs, parts, in_time)
        return charged

    def _healing(self, number: int, phase: Any) -> Any:
        """A phase between rounds; dead processes are replaced, and it is repeated."""
        return persist_in_round(phase, lambda _: self._crew.heal(number))

    def _go_back(self, error: Lost) -> None:
        """Start all processes again from the last checkpoint."""
        number = self._crew.round
        try:
            self._crew.restore()
            self._crew.open(self._crew.round)
        except Lost as again:
            self._events("restore_failed", round=number, reason=str(again))
            raise Lost(str(again)) from again
        self._events("went_back", round=number, action=f"restored from round {self._crew.round}")

    def _give_up(self, error: Lost) -> Exception:
        return FedMFError(
            f"round {self._crew.round}: processes keep dying (most often for lack of memory): raise "
            f"cluster.users_per_actor, then go on with `fedmf-ray resume`; the last failure: {error}"
        )

    def _count(self, number: int, work: Training, fates: Fates) -> None:
        """Record what was refused; raise unless enough uploads arrived."""
        if work.refused:
            self._events("refused", round=number, reasons=dict(Counter(work.refused.values())))
        least, asked = self._attendance.least(fates), int((fates != ABSENT).sum())
        if work.added < least:
            raise FedMFError(
                f"round {number}: the uploads of {work.added} of {asked} users arrived, {least} are needed "
                f"(participation.minimum): {work.commonest_refusal}"
            )

    def _summed(self, reports: list[Report]) -> Opening:
        """How training stands, from the sums that users report."""
        entries = len(self._user_ids) * self._plan.terms.setting.predictors
        changes = np.concatenate([report.vector_change for report in reports])
        change = math.fsum(changes.tolist()) / entries
        return Opening(combine(report.errors for report in reports), change, reports[0].item_change)


def _cannot_set_up(error: Lost) -> Exception:
    return FedMFError(
        "Ray workers keep dying while users are set up (most often for lack of memory): raise "
        f"cluster.users_per_actor; Ray says: {error}"
    )
