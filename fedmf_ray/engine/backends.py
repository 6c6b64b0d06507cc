"""Two ways to host the same actors: on Ray, or in this process. Results are identical.

A *reference* stands for a value that may live elsewhere; only :meth:`Backend.get` brings it here, and
actors can be called with references. So uploads go from users to server, and the key from user to
user. A small one may still lie in the memory of the experimenter's process, a large one in a store that all
processes of a machine map: what users alone may see is sealed (:mod:`fedmf_ray.engine.keeper`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from fedmf_ray.engine.gauges import Gauges, NoGauges
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
    def threads(self) -> int:
        """CPUs that one actor may use while all others wait for it."""

    @property
    def apart(self) -> bool:
        """Whether actors are processes of their own, which can keep secrets from each other."""

    @property
    def memory_bytes(self) -> float | None:
        """Memory for processes, or None where actors need none of their own."""

    def prepare(self, actors: int, apart: type, number: int) -> str | None:
        """Say what will be started: so many actors, and so many of a kind that should have machines of its
        own. Returns a line for people if that will have to wait; raises :class:`FedMFError` if it cannot be
        done."""

    def put(self, value: Any) -> Reference:
        """A reference to a value of this process, for calls that share it."""

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

    def ended(self, references: Sequence[Reference]) -> None:
        """Wait until these calls have ended, well or not. What they needed may go."""

    def alive(self, actor: Handle) -> bool:
        """Whether an actor answers, once it has ended what it was asked before."""

    def silent(self, actor: Handle) -> bool:
        """Whether an actor was ended since it had ended no call for too long (``cluster.patience_s``)."""

    def end(self, actor: Handle) -> None:
        """End an actor, if it is not dead already."""

    def stream(self, calls: Iterable[Call], limit: int) -> Iterator[tuple[Call, tuple[Reference, ...]]]:
        """Make calls with at most ``limit`` under way; yield each as it ends, with a reference to each value
        that it returns."""

    def by_node(self, actors: Sequence[Handle]) -> list[list[Handle]]:
        """Actors in groups that share a machine among several; each by itself where there is one machine."""

    def refused(self) -> list[str]:
        """What there is to say of machines that have joined and cannot be used; each is named once."""

    def moved(self) -> dict[str, int]:
        """Bytes that calls so far have moved between machines (:meth:`~.traffic.Traffic.sums`); empty on one
        machine."""

    def gauges(self) -> Gauges:
        """Where figures go that can be watched while a run goes on."""

    def close(self) -> None:
        """End what this backend started."""


def open_backend(cluster: Cluster) -> Backend:
    if cluster.backend == "serial":
        return SerialBackend()
    from fedmf_ray.engine.ray_backend import RayBackend  # it imports this module

    return RayBackend(cluster.address, cluster.patience_s, cluster.actor_cpus)


class SerialBackend:
    """Everything in this process: a reference is the value itself."""

    name = "this process"
    cpus = 1
    threads = 1
    apart = False
    memory_bytes = None

    def prepare(self, actors: int, apart: type, number: int) -> str | None:
        return None

    def put(self, value: Any) -> Reference:
        return value

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

    def ended(self, references: Sequence[Reference]) -> None:
        pass

    def alive(self, actor: Handle) -> bool:
        return True

    def silent(self, actor: Handle) -> bool:
        return False

    def by_node(self, actors: Sequence[Handle]) -> list[list[Handle]]:
        return [[actor] for actor in actors]

    def refused(self) -> list[str]:
        return []

    def moved(self) -> dict[str, int]:
        return {}

    def gauges(self) -> Gauges:
        return NoGauges()

    def end(self, actor: Handle) -> None:
        pass

    def stream(self, calls: Iterable[Call], limit: int) -> Iterator[tuple[Call, tuple[Reference, ...]]]:
        for call in calls:
            yield call, make(self, call)

    def close(self) -> None:
        pass


def make(backend: Backend, call: Call) -> tuple[Reference, ...]:
    """Make a call: a reference to each value that it gives."""
    if call.returns == 1:
        return (backend.call(call.actor, call.method, *call.arguments),)
    return backend.call_split(call.returns, call.actor, call.method, *call.arguments)
