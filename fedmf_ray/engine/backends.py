"""Two ways to host the same actors: on Ray, or in this process. Results are identical.

A *reference* stands for a value that may live elsewhere; only :meth:`Backend.get` brings it here, and
actors can be called with references. So uploads go from users to server, and the key from user to
user. A small one may still lie in the memory of the experimenter's process, a large one in a store that all
processes of a machine map: what users alone may see is sealed (:mod:`fedmf_ray.engine.keeper`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, cast

from fedmf_ray.engine.connection import connect, disconnect, import_ray
from fedmf_ray.engine.gauges import Gauges, NoGauges, RayGauges
from fedmf_ray.engine.patience import Watch
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario.schema import Cluster

Reference = Any
Handle = Any


class Call(NamedTuple):
    """A method call on an actor, still to be made. label: the caller's name for it. returns: how many
    values it gives, each of which gets a reference of its own."""

    actor: Handle
    method: str
    arguments: tuple[Any, ...] = ()
    label: Any = None
    returns: int = 1


class Backend(Protocol):
    """What the round loop needs of a place to run on."""

    @property
    def name(self) -> str:
        """Where it is: two backends of one name run on the same machines."""

    @property
    def cpus(self) -> int:
        """CPUs for users and server."""

    @property
    def apart(self) -> bool:
        """Whether actors are processes of their own, which can keep secrets from each other."""

    @property
    def memory_bytes(self) -> float | None:
        """Memory for processes, or None where actors need none of their own."""

    def run(self, function: Callable[..., Any], *args: Any) -> Reference:
        """Call a function elsewhere."""

    def run_split(self, returns: int, function: Callable[..., Any], *args: Any) -> tuple[Reference, ...]:
        """The same for a function that returns so many values, two or more: a reference for each."""

    def start(self, kind: type, *args: Any) -> Handle:
        """Start an actor; arguments may be references."""

    def call(self, actor: Handle, method: str, *args: Any) -> Reference:
        """Call a method."""

    def call_split(self, returns: int, actor: Handle, method: str, *args: Any) -> tuple[Reference, ...]:
        """The same for a method that returns so many values, two or more: a reference for each."""

    def get(self, references: Any) -> Any:
        """The value of a reference, or the values of a list; raises what the call raised, or
        :class:`Lost`."""

    def alive(self, actor: Handle) -> bool:
        """Whether an actor answers, once it has ended what it was asked before."""

    def silent(self, actor: Handle) -> bool:
        """Whether an actor was ended since it had ended no call for too long (``cluster.patience_s``)."""

    def end(self, actor: Handle) -> None:
        """End an actor, if it is not dead already."""

    def stream(self, calls: Iterable[Call], limit: int) -> Iterator[tuple[Call, tuple[Reference, ...]]]:
        """Make calls with at most ``limit`` under way; yield each as it ends, with a reference to each value
        that it returns."""

    def gauges(self) -> Gauges:
        """Where figures go that can be watched while a run goes on."""

    def close(self) -> None:
        """End what this backend started."""


def open_backend(cluster: Cluster) -> Backend:
    if cluster.backend == "serial":
        return SerialBackend()
    return RayBackend(cluster.address, cluster.patience_s)


class SerialBackend:
    """Everything in this process: a reference is the value itself."""

    name = "this process"
    cpus = 1
    apart = False
    memory_bytes = None

    def run(self, function: Callable[..., Any], *args: Any) -> Reference:
        return function(*args)

    def run_split(self, returns: int, function: Callable[..., Any], *args: Any) -> tuple[Reference, ...]:
        return tuple(function(*args))

    def start(self, kind: type, *args: Any) -> Handle:
        return kind(*args)

    def call(self, actor: Handle, method: str, *args: Any) -> Reference:
        return getattr(actor, method)(*args)

    def call_split(self, returns: int, actor: Handle, method: str, *args: Any) -> tuple[Reference, ...]:
        return tuple(self.call(actor, method, *args))

    def get(self, references: Any) -> Any:
        return references

    def alive(self, actor: Handle) -> bool:
        return True

    def silent(self, actor: Handle) -> bool:
        return False

    def gauges(self) -> Gauges:
        return NoGauges()

    def end(self, actor: Handle) -> None:
        pass

    def stream(self, calls: Iterable[Call], limit: int) -> Iterator[tuple[Call, tuple[Reference, ...]]]:
        for call in calls:
            yield call, _make(self, call)

    def close(self) -> None:
        pass


class RayBackend:
    """Actors on a Ray cluster, or on a local instance that this process starts and ends.

    If Ray is initialised already (in a notebook, a test), that cluster is used and left alone. patience_s: as
    of :mod:`~fedmf_ray.engine.patience`.
    """

    apart = True

    def __init__(self, address: str | None, patience_s: float = 600.0) -> None:
        self._ray = ray = import_ray()
        self._owns = not ray.is_initialized()
        if self._owns:
            connect(address)
        self.name: str = ray.get_runtime_context().gcs_address
        resources = ray.cluster_resources()
        self.cpus = max(1, int(resources.get("CPU", 1)))
        self.memory_bytes: float | None = resources.get("memory")
        self._actors: list[Any] = []
        self._watch = Watch(ray, patience_s)

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
        return self._ray.remote(function).options(num_returns=returns, max_retries=0)

    def start(self, kind: type, *args: Any) -> Handle:
        # No CPU is reserved: `stream` bounds what runs, so there may be more actors than CPUs.
        remote = cast(Any, self._ray.remote(kind)).options(num_cpus=0, scheduling_strategy="SPREAD")
        self._actors.append(remote.remote(*args))
        self._watch.born(self._actors[-1], args)
        return self._actors[-1]

    def call(self, actor: Handle, method: str, *args: Any) -> Reference:
        reference = getattr(actor, method).remote(*args)
        self._watch.made(reference, actor, args)
        return reference

    def call_split(self, returns: int, actor: Handle, method: str, *args: Any) -> tuple[Reference, ...]:
        references = tuple(getattr(actor, method).options(num_returns=returns).remote(*args))
        self._watch.made(references[-1], actor, args)
        return references

    def get(self, references: Any) -> Any:
        errors = self._ray.exceptions
        lost = (
            errors.RayActorError,
            errors.ObjectLostError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
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
            references = _make(self, call)
            pending[references[-1]] = call, references
        while pending:
            yield next_done()

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._owns:
            disconnect()


def _make(backend: Backend, call: Call) -> tuple[Reference, ...]:
    if call.returns == 1:
        return (backend.call(call.actor, call.method, *call.arguments),)
    return backend.call_split(call.returns, call.actor, call.method, *call.arguments)
