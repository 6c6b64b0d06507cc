"""Bytes that move between the nodes of a Ray cluster, counted by the call that needed them.

Ray copies a large value to a node once, for all processes there: it is counted once per node that is not the
one where it was made. A small value travels with each call, by way of the process that made it, and is
counted each time. What Ray's own protocol adds is not in the sums. `benchmarks/nodes.py` compares them with
Ray's counters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

Reference = Any

_REMEMBERED = 20_000
"""Values of the latest rounds: those of earlier ones are gone, and would take memory here for ever."""


class Traffic:
    """Sums over all calls so far."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._here: str = ray.get_runtime_context().get_node_id()
        self._nodes: OrderedDict[Reference, set[str]] = OrderedDict()
        self._bytes: dict[str, int] = {}
        self._small = 0

    def sums(self) -> dict[str, int]:
        """``total_bytes``, ``small_bytes`` (of these, of values that travel with each call), and by method;
        empty if nothing has moved."""
        if not self._bytes:
            return {}
        sums = {"total_bytes": sum(self._bytes.values()), "small_bytes": self._small}
        return sums | {f"{method}_bytes": count for method, count in self._bytes.items()}

    def made(self, references: Iterable[Reference], node_id: str) -> None:
        """These values are made on a node."""
        for reference in references:
            self._nodes[reference.binary()] = {node_id}
        while len(self._nodes) > _REMEMBERED:
            self._nodes.popitem(last=False)

    def used(self, method: str, node_id: str, references: Iterable[Reference]) -> None:
        """A call on a node has had these values as arguments."""
        unique = list(dict.fromkeys(references))
        if not unique:
            return
        places = self._ray.experimental.get_local_object_locations(unique)
        for reference in unique:
            size = places[reference]["object_size"] or 0
            stored = places[reference]["node_ids"]
            nodes = self._nodes.setdefault(reference.binary(), set(stored[:1]) or {self._here})
            if not stored:
                moved = (size if node_id != self._here else 0) + (size if nodes - {self._here} else 0)
                self._small += moved
                nodes.intersection_update({self._here})  # from now on it is here
            else:
                moved = 0 if node_id in nodes else size
                nodes.add(node_id)
            if moved:
                self._bytes[method] = self._bytes.get(method, 0) + moved
