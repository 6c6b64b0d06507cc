"""The same actors on a Ray cluster (:mod:`fedmf_ray.engine.backends` says what a backend does)."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from fedmf_ray.engine.backends import Call, Handle, Reference, make
from fedmf_ray.engine.connection import connect, disconnect, import_ray
from fedmf_ray.engine.gauges import Gauges, RayGauges
from fedmf_ray.engine.nodes import Nodes, bound_to
from fedmf_ray.engine.patience import Watch
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.engine.traffic import Traffic
from fedmf_ray.errors import FedMFError


class RayBackend:
    """Actors on a Ray cluster, or on a local instance that this process starts and ends.

    If Ray is initialised already (in a notebook, a test), that cluster is used and left alone. patience_s: as
    of :mod:`~fedmf_ray.engine.patience`. actor_cpus: what each user actor asks Ray for; if it is not given,
    none asks for anything, and :mod:`~fedmf_ray.engine.nodes` places all.
    """

    apart = True

    def __init__(
        self, address: str | None, patience_s: float = 600.0, actor_cpus: float | None = None
    ) -> None:
        self._ray = ray = import_ray()
        self._owns = not ray.is_initialized()
        self._local = (address or os.environ.get("RAY_ADDRESS") or "local") == "local"
        if self._owns:
            connect(address)
        self.name: str = ray.get_runtime_context().gcs_address
        self._here: str = ray.get_runtime_context().get_node_id()
        resources = ray.cluster_resources()
        self.cpus = max(1, int(resources.get("CPU", 1)))
        self.memory_bytes: float | None = resources.get("memory")
        self._actors: list[Any] = []
        self._nodes, self._traffic = Nodes(ray), Traffic(ray)
        self._actor_cpus, self._placed = actor_cpus, dict[Handle, Reference]()
        self._watch = Watch(ray, patience_s, self._count)

    @property
    def threads(self) -> int:
        return self._nodes.fewest_cpus()

    def prepare(self, actors: int, apart: type, number: int) -> str | None:
        self._nodes.prepare(actors, apart, number)
        asked, here = math.ceil(actors * (self._actor_cpus or 0)), self.cpus
        if asked <= here:
            return None
        named = f"cluster.actor_cpus: {actors} user actors ask for {asked} CPUs"
        if self._owns and self._local:
            raise FedMFError(f"{named} and this machine has {here}: leave it out, or raise users_per_actor")
        self.cpus = asked
        return f"{named} and the cluster has {here}: they wait until machines join"

    def put(self, value: Any) -> Reference:
        reference = self._ray.put(value)
        self._traffic.made([reference], self._here)
        return reference

    def run(self, function: Callable[..., Any], *args: Any) -> Reference:
        reference = self._task(function, 1).remote(*args)
        self._watch.made(reference, None, args)
        return reference

    def run_split(self, returns: int, function: Callable[..., Any], *args: Any) -> tuple[Reference, ...]:
        references = tuple(self._task(function, returns).remote(*args))
        self._watch.made(references[-1], None, args)
        return references

    def _task(self, function: Callable[..., Any], returns: int) -> Any:
        # Ray must not repeat it unnoticed: a second key pair would not decrypt what the first one encrypted.
        options = {"num_returns": returns, "max_retries": 0}
        if self._actor_cpus:  # its actors may hold all CPUs, and would wait for it
            options["num_cpus"] = 0
        return self._ray.remote(function).options(**options)

    def start(self, kind: type, *args: Any) -> Handle:
        # Unless the scenario says so no CPU is reserved: `stream` bounds what runs, so there may be more
        # actors than CPUs.
        cpus = self._actor_cpus if self._actor_cpus and kind is not self._nodes.apart else 0
        node_id = None if cpus else self._nodes.choose(kind)
        strategy: Any = "SPREAD" if node_id is None else bound_to(node_id)
        remote = cast(Any, self._ray.remote(kind)).options(num_cpus=cpus, scheduling_strategy=strategy)
        actor = remote.remote(*args)
        self._actors.append(actor)
        self._watch.born(actor, args)
        self._nodes.put(actor, kind, node_id)
        if cpus:
            self._placed[actor] = actor.__ray_call__.remote(_node_of)
        return actor

    def call(self, actor: Handle, method: str, *args: Any) -> Reference:
        reference = getattr(actor, method).remote(*args)
        self._called((reference,), actor, method, args)
        return reference

    def call_split(self, returns: int, actor: Handle, method: str, *args: Any) -> tuple[Reference, ...]:
        references = tuple(getattr(actor, method).options(num_returns=returns).remote(*args))
        self._called(references, actor, method, args)
        return references

    def _called(
        self, references: tuple[Reference, ...], actor: Handle, method: str, args: Iterable[Any]
    ) -> None:
        self._watch.made(references[-1], actor, args, method)
        if (node_id := self._nodes.of(actor)) is not None:
            self._traffic.made(references, node_id)

    def _count(self, actor: Handle, method: str, needed: list[Reference]) -> None:
        if actor in self._placed:  # it has ended a call, so it knows where Ray has put it
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._nodes.put(actor, object, self._ray.get(self._placed.pop(actor), timeout=1))
        if (node_id := self._nodes.of(actor)) is not None:
            self._traffic.used(method, node_id, needed)

    def by_node(self, actors: Sequence[Handle]) -> list[list[Handle]]:
        groups: dict[Any, list[Handle]] = {}
        for actor in actors:
            groups.setdefault(self._nodes.of(actor) or actor, []).append(actor)
        return list(groups.values())

    def refused(self) -> list[str]:
        return self._nodes.refused()

    def moved(self) -> dict[str, int]:
        return self._traffic.sums()

    def get(self, references: Any) -> Any:
        errors = self._ray.exceptions
        lost = (
            errors.RayActorError,
            errors.ActorUnschedulableError,  # its node has died before it started
            errors.ObjectLostError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            Lost,  # an actor says so itself
        )
        self._await(references if isinstance(references, list) else [references])
        try:
            return self._ray.get(references)
        except errors.RayTaskError as error:
            if isinstance(error.cause, FedMFError):
                raise error.cause from None  # Ray's wrapper would print the worker's traceback
            if isinstance(error.cause, lost) or isinstance(error, lost):
                raise Lost(self._reason(error)) from error
            raise
        except lost as error:
            raise Lost(self._reason(error)) from error

    def ended(self, references: Sequence[Reference]) -> None:
        self._await(list(references))

    def _await(self, references: list[Reference]) -> None:
        """Until all are there or have failed."""
        waiting = list(dict.fromkeys(references))
        self._watch.begin()
        while waiting:
            done, waiting = self._ray.wait(
                waiting, num_returns=len(waiting), timeout=self._watch.step_s, fetch_local=False
            )
            self._watch.ended(done)
            if waiting:
                self._watch.check()

    def _reason(self, error: Exception) -> str:
        return self._watch.reason if self._watch.silent else " ".join(str(error).split())[:160]

    def alive(self, actor: Handle) -> bool:
        try:
            self._ray.get(actor.ping.remote(), timeout=self._watch.patience_s)
        except self._ray.exceptions.GetTimeoutError:
            self._watch.end(actor)
            return False
        except self._ray.exceptions.RayError:
            return False
        return True

    def silent(self, actor: Handle) -> bool:
        return actor in self._watch.silent

    def gauges(self) -> Gauges:
        return RayGauges()

    def end(self, actor: Handle) -> None:
        if actor in self._actors:
            self._actors.remove(actor)
        self._watch.forget(actor)
        self._nodes.forget(actor)
        self._placed.pop(actor, None)
        self._ray.kill(actor)

    def stream(self, calls: Iterable[Call], limit: int) -> Iterator[tuple[Call, tuple[Reference, ...]]]:
        pending: dict[Reference, tuple[Call, tuple[Reference, ...]]] = {}

        def next_done() -> tuple[Call, tuple[Reference, ...]]:
            self._watch.begin()
            while True:
                done, _ = self._ray.wait(
                    list(pending), num_returns=1, timeout=self._watch.step_s, fetch_local=False
                )
                if done:
                    self._watch.ended(done)
                    return pending.pop(done[0])
                self._watch.check()

        for call in calls:
            if len(pending) >= limit:
                yield next_done()
            references = make(self, call)
            pending[references[-1]] = call, references
        while pending:
            yield next_done()

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._owns:
            disconnect()


def _node_of(_actor: Any) -> str:
    """Runs in an actor: the node that Ray has put it on."""
    node_id: str = import_ray().get_runtime_context().get_node_id()
    return node_id
