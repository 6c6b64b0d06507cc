"""The main loop: users and a server on a backend, round after round."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.metrics import Losses, combine
from fedmf_ray.privacy.views import Agreed, ClearView, SealedUpload, SealedView, UserView, View
from fedmf_ray.scenario import Scenario
from fedmf_ray.simulation import placement
from fedmf_ray.simulation.actors import Report, ServerActor, UserActor, create_keys
from fedmf_ray.simulation.backends import Backend, Call, Reference
from fedmf_ray.simulation.costs import CHARGED, MEASURED, RoundCosts, UserCosts, user_columns
from fedmf_ray.simulation.devices import Devices
from fedmf_ray.simulation.plan import Plan
from fedmf_ray.simulation.progress import Progress
from fedmf_ray.simulation.unit_costs import Tariff, UnitCosts, measure

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


def in_the_clear(scenario: Scenario) -> bool:
    """Whether the scenario's server reads what it receives."""
    return scenario.protocol.scheme == "plain" or (
        scenario.observe is not None and scenario.observe.collusion
    )


def recorded_rounds(scenario: Scenario, plan: Plan) -> frozenset[int]:
    """Rounds of which a view is recorded; refuses a view that would be too large, before anything runs."""
    observe = scenario.observe
    if observe is None:
        return frozenset()
    rounds = observe.recorded(scenario.stop.rounds)
    if not rounds:
        raise FedMFError(f"observe.rounds: the run has rounds 0 to {scenario.stop.rounds - 1} only")
    size = len(rounds) * plan.view_bytes(observe.who, in_the_clear(scenario)) / 1e9
    if size > observe.largest_gb:
        raise FedMFError(
            f"observe: a view of {len(rounds)} rounds takes about {size:.3g} GB, more than "
            f"observe.largest_gb {observe.largest_gb:g}: record fewer rounds, or take fewer items or users"
        )
    return rounds


def place(scenario: Scenario, plan: Plan, backend: Backend) -> list[Sequence[int]]:
    """Which users (by position) share an actor; refuses what the cluster's memory cannot hold."""
    users = range(len(plan.population.user_ids))
    groups = placement.group(users, scenario.cluster.users_per_actor, backend.cpus)
    placement.check_memory(len(groups), len(users), plan.memory, backend.memory_bytes)
    return groups


_unit_costs: dict[tuple[Any, ...], UnitCosts] = {}
"""Measured once for a place and a setting, so that the cells of a study are charged alike."""


def tariff(plan: Plan, actors: int, backend: Backend) -> Tariff:
    """What a plan's work costs where it runs, with as many CPUs busy at once as the run keeps busy."""
    busy = min(actors, backend.cpus)
    setting = (plan.scheme, plan.matrices.key_bits, plan.terms.blocks.factors, plan.terms.rule)
    at = (backend.name, busy, *setting)
    if at not in _unit_costs:
        measured = [backend.run(measure, *setting) for _ in range(busy)]
        _unit_costs[at] = UnitCosts.mean([backend.get(reference) for reference in measured])
    return plan.tariff(_unit_costs[at])


class Federation:
    """Starts users and server; :meth:`rounds` drives them."""

    def __init__(self, scenario: Scenario, plan: Plan, backend: Backend, progress: Progress) -> None:
        self._scenario, self._backend, self._progress = scenario, backend, progress
        self._devices = Devices.of(scenario)
        self._user_ids = plan.population.user_ids
        self._limit = scenario.cluster.in_flight or 2 * backend.cpus
        self.status = "complete"
        self.agreed: Agreed | None = plan.agreed

        groups = place(scenario, plan, backend)
        layout = plan.layout_line()
        progress.note(f"{len(self._user_ids)} users in {len(groups)} actors, {plan.terms.blocks.items} items")
        progress.note(layout)

        self._observe, self._recorded = scenario.observe, recorded_rounds(scenario, plan)
        self._tariff = tariff(plan.charged, len(groups), backend) if plan.charged else None
        self._basis = CHARGED if self._tariff else MEASURED

        started = time.perf_counter()
        # Made on the users' side: this process never holds the private half, only a reference to it.
        evaluator, key, keys_cpu_s = backend.run(create_keys, plan.scheme, plan.matrices, returns=3)
        self._actors = [
            backend.start(
                UserActor,
                plan.population.members(group[0], group[-1] + 1),
                plan.terms,
                plan.together,
                self._tariff,
            )
            for group in groups
        ]
        counts = backend.get([backend.call(actor, "set_up", key) for actor in self._actors])
        # Interleaved: consecutive calls go to different actors.
        self._blocks = sorted((block, at) for at, count in enumerate(counts) for block in range(count))
        items = backend.call(self._actors[0], "encrypt_initial_items")
        self._server = backend.start(ServerActor, evaluator, items, self._user_ids, self._recorded)
        opening = self._open(items)

        self.setup: Row = {
            "keys_cpu_s": backend.get(keys_cpu_s),
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
            "users_per_actor": len(groups[0]),
            "layout": layout,
            "update_cpu_s": "charged" if self._tariff else how,
        }
        if self._tariff:
            self.facts["unit_costs"] = self._tariff.unit.named()
        self._actor_count = len(groups)

    def rounds(self) -> Iterator[Round]:
        """Drive rounds until the scenario says stop; yields what there is to write after each."""
        backend, stop = self._backend, self._scenario.stop
        for number in range(stop.rounds):
            started = time.perf_counter()
            costs, receive_cpu_s = self._train(number)
            view = self._view(number) if number in self._recorded else None
            items, publish_cpu_s = backend.call(self._server, "publish", returns=2)
            opening = self._open(items)
            server_cpu_s = receive_cpu_s + backend.get(publish_cpu_s)
            if self._tariff:
                server_cpu_s = self._tariff.receive_cpu_s(costs.upload_rows) + self._tariff.publish_cpu_s
            parts = self._devices.seconds(costs)
            charged = RoundCosts()
            charged.add(costs, parts)
            yield Round(
                {
                    "round": number,
                    **opening.losses._asdict(),
                    **charged.row(server_cpu_s, self._basis),
                    "user_actors": self._actor_count,
                    "wall_s": time.perf_counter() - started,
                },
                user_columns(number, self._basis, costs, self._devices.slowdowns(costs.user_id), parts),
                view,
            )
            if stop.tolerance and max(opening.user_change, opening.item_change) < stop.tolerance:
                self.status = "converged"
                return

    def _train(self, number: int) -> tuple[UserCosts, float]:
        """Users train and upload; the server adds uploads while later ones are still being computed."""
        backend = self._backend
        calls = (Call(self._actors[at], "train", (number, block)) for block, at in self._blocks)
        costs: list[UserCosts] = []
        done, server_cpu_s = 0, 0.0
        adding: deque[Reference] = deque()
        for uploads, charged in backend.stream(calls, self._limit, returns=2):
            # Also what raises a user's error: the server's call must not be made on a failed upload.
            costs.append(backend.get(charged))
            done += len(costs[-1].user_id)
            adding.append(backend.call(self._server, "receive", uploads))
            self._progress.users(done, len(self._user_ids))
            if len(adding) > self._limit:  # bounds the uploads that wait for the server
                server_cpu_s += backend.get(adding.popleft())
        return UserCosts.join(costs), server_cpu_s + sum(backend.get(list(adding)))

    def _view(self, number: int) -> View:
        """What the adversary of the scenario sees of a round whose uploads have all arrived."""
        backend, user = self._backend, self._actors[0]
        assert self._observe is not None
        if self._observe.who == "user":
            return UserView(number, backend.get(backend.call(user, "items_in_the_clear")))
        uploads = backend.call(self._server, "seen")
        if in_the_clear(self._scenario):
            items = backend.get(backend.call(user, "items_in_the_clear"))
            return ClearView(number, items, backend.get(backend.call(user, "decrypt_for_server", uploads)))
        return SealedView(
            number, [SealedUpload(u.user_id, u.blocks, u.ciphertexts) for u in backend.get(uploads)]
        )

    def _open(self, items: Reference) -> Opening:
        """Users decrypt the matrix that opens the next round and report sums of their errors under it."""
        calls = (Call(actor, "open_round", (items,)) for actor in self._actors)
        reports: list[Report] = [self._backend.get(done) for done in self._backend.stream(calls, self._limit)]
        users = sorted(user for report in reports for user in report.users)
        entries = len(users) * self._scenario.model.factors
        return Opening(
            combine([sums for _, sums, _ in users]),
            math.fsum(change for _, _, change in users) / entries,
            reports[0].item_change,
        )
