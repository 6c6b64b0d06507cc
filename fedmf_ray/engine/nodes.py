"""Which node of a Ray cluster hosts which actor.

Actors that reserve no CPU are invisible to Ray's own scheduler: with ``SPREAD`` ten of them went 1, 2, 7 to
nodes of 1, 2, 2 CPUs (`benchmarks/nodes.py placement`), and a soft preference for a node was not heeded. So
each is bound to a node here: users in proportion to CPUs, servers one per node. A node that dies takes its
actors with it, and those that replace them are placed anew; nodes that have joined by then take part.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from fedmf_ray.engine import versions
from fedmf_ray.errors import FedMFError

_ANSWER_S = 120.0
"""A node should have started a process and answered by then."""

_FRESH_S = 1.0
"""For so long the list of nodes is taken to be right: a thousand actors need not ask a thousand times."""


_OBSTACLES: dict[str, str | None] = {}
"""By id, what keeps a node from hosting anything. A node is asked once per process of ours: the cells of a
study have backends of their own."""


class Node(NamedTuple):
    """host: its address, for people."""

    id: str
    host: str
    cpus: float

    def __str__(self) -> str:
        return f"node {self.host} ({self.id[:8]})"


def bound_to(node_id: str) -> Any:
    """For Ray: on this node or nowhere."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


class Nodes:
    """The nodes of a cluster, and what this process has put on each. apart: the kind of actor that should
    have nodes of its own."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._alive: list[Node] = []
        self._listed_at = -_FRESH_S
        self._refused: dict[str, str] = {}
        self._untold: list[str] = []
        self._own: frozenset[str] = frozenset()
        self.apart: type | None = None
        self._hosted: dict[Any, tuple[str, type]] = {}

    def prepare(self, actors: int, apart: type, number: int) -> None:
        """Say what will be started: so many actors, and so many of a kind that should have nodes of its own.

        It gets them where the CPUs of the others are as many as the actors. Raises :class:`FedMFError` if a
        node runs other versions than this process.
        """
        nodes = self._usable()
        if self._refused:
            first = next(iter(self._refused.values()))
            others = f" (and {len(self._refused) - 1} more nodes)" if len(self._refused) > 1 else ""
            raise FedMFError(
                f"{first}{others}: install the same versions there, or send the code with `fedmf-ray submit`"
            )
        self.apart = apart
        smallest = sorted(nodes, key=lambda node: (node.cpus, node.id))[:number]
        left = sum(node.cpus for node in nodes) - sum(node.cpus for node in smallest)
        enough = len(smallest) == number and len(nodes) > number and left >= actors
        self._own = frozenset(node.id for node in smallest) if enough else frozenset()

    def choose(self, kind: type) -> str | None:
        """The node for the next actor of a kind; None where there is no choice."""
        nodes = self._usable()
        if len(nodes) < 2:
            return None
        here = Counter(node_id for node_id, hosted in self._hosted.values() if hosted is kind)
        others = Counter(node_id for node_id, hosted in self._hosted.values() if hosted is not kind)
        if kind is self.apart:
            own = [node for node in nodes if node.id in self._own] or nodes
            return min(own, key=lambda node: (here[node.id], others[node.id] / node.cpus, node.id)).id
        free = [node for node in nodes if node.id not in self._own] or nodes
        return min(free, key=lambda node: ((here[node.id] + 1) / node.cpus, others[node.id], node.id)).id

    def fewest_cpus(self) -> int:
        """Of any node, at least one."""
        return max(1, int(min((node.cpus for node in self._usable()), default=1)))

    def put(self, actor: Any, kind: type, node_id: str | None) -> None:
        """An actor was started on a node; None if Ray was left to choose one."""
        if node_id is not None:
            self._hosted[actor] = node_id, kind

    def forget(self, actor: Any) -> None:
        self._hosted.pop(actor, None)

    def of(self, actor: Any) -> str | None:
        """Where an actor is; None if it was not bound to a node."""
        return self._hosted.get(actor, (None, None))[0]

    def refused(self) -> list[str]:
        """What there is to say of nodes that joined with other versions and are not used; each is named
        once."""
        untold, self._untold = self._untold, []
        return untold

    def _usable(self) -> list[Node]:
        if time.monotonic() - self._listed_at >= _FRESH_S:
            self._alive = _listed(self._ray.nodes())
            self._check()
            self._listed_at = time.monotonic()
        return [node for node in self._alive if node.id not in self._refused]

    def _check(self) -> None:
        """A single node is where this process is, or all that it has: nothing is compared then."""
        if len(self._alive) < 2:
            return
        unknown = [node for node in self._alive if node.id not in _OBSTACLES]
        ask = self._ray.remote(versions.question())
        asked = [
            ask.options(num_cpus=0, max_retries=0, scheduling_strategy=bound_to(node.id)).remote()
            for node in unknown
        ]
        for node, reference in zip(unknown, asked, strict=True):
            _OBSTACLES[node.id] = self._obstacle(reference)
        for node in self._alive:
            obstacle = _OBSTACLES[node.id]
            if obstacle and node.id not in self._refused:
                self._refused[node.id] = f"{node}: {obstacle}"
                self._untold.append(self._refused[node.id])

    def _obstacle(self, asked: Any) -> str | None:
        """What keeps a node from hosting anything, from its answer."""
        try:
            found = versions.difference(self._ray.get(asked, timeout=_ANSWER_S))
        except self._ray.exceptions.GetTimeoutError:
            return f"does not answer within {_ANSWER_S:g} s"
        except self._ray.exceptions.RayError as error:
            return f"cannot run a process: {' '.join(str(error).split())[:160]}"
        return f"has {found}" if found else None


def _listed(nodes: Iterable[dict[str, Any]]) -> list[Node]:
    """Nodes that live and have CPUs: a head without any should host nothing. If none has, all of them."""
    alive = [
        Node(node["NodeID"], node["NodeManagerAddress"], float(node["Resources"].get("CPU", 0)))
        for node in nodes
        if node["Alive"]
    ]
    with_cpus = [node for node in alive if node.cpus > 0]
    return sorted(with_cpus or [node._replace(cpus=1.0) for node in alive])
