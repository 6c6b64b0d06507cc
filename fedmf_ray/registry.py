"""One registration for everything that can be added: here by a decorator, elsewhere by an entry point.

A registry maps names to schemes, rules, sources or measures. What this package brings registers itself when
its module is imported. What an installed distribution brings is found by the entry points of a group and
imported when somebody asks for its name, so that a broken plug-in that nobody uses breaks nothing.

    [project.entry-points."fedmf_ray.rules"]
    huber = "my_package.rules:huber"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from fedmf_ray.errors import FedMFError

T = TypeVar("T")


class Registry(Generic[T]):
    """kind: what is registered, for messages. group: of entry points.

    check: called with the name and what a plug-in offers under it; returns what is registered, or raises
    ``ValueError`` or ``TypeError`` with the reason why it cannot be.
    """

    def __init__(self, kind: str, group: str, check: Callable[[str, object], T]) -> None:
        self.kind, self.group, self._check = kind, group, check
        self._known: dict[str, T] = {}
        self._loaded: dict[str, T] = {}

    def register(self, name: str, value: T) -> T:
        """Add one of our own, under a name that is free."""
        if name in self._known:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._known[name] = value
        return value

    def get(self, name: str) -> T:
        """What is registered under a name; raises :class:`FedMFError` in one line if there is none, if a
        plug-in cannot be imported, or if two offer the same name."""
        found = [point for point in self._plugins() if point.name == name]
        if name in self._known:
            # A plug-in may have registered itself while it was imported.
            if found and self._load(name, found) is not self._known[name]:
                raise FedMFError(f"{self._where(found[0])}: {self.kind} {name!r} is one of fedmf-ray's own")
            return self._known[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name, found)
        return self._loaded[name]

    def names(self) -> list[str]:
        """Those of this package in order of registration, then those of plug-ins, which are not imported."""
        return [*self._known, *sorted({point.name for point in self._plugins()} - self._known.keys())]

    def origin(self, name: str) -> str | None:
        """Distribution and entry point of a plug-in, in words; None for what this package brings."""
        found = [point for point in self._plugins() if point.name == name]
        return self._where(found[0]) if found and name not in self._known else None

    def _plugins(self) -> list[EntryPoint]:
        return _entry_points(self.group, tuple(sys.path))

    def _load(self, name: str, found: list[EntryPoint]) -> T:
        if not found:
            raise FedMFError(f"no {self.kind} {name!r}: one of {', '.join(self.names())}")
        if len(found) > 1:
            both = " and ".join(self._where(point) for point in found)
            raise FedMFError(f"two plug-ins offer {self.kind} {name!r}: {both}: uninstall one")
        try:
            return self._check(name, found[0].load())
        except Exception as error:  # whatever a plug-in raises while it is imported
            reason = " ".join(str(error).split())[:300]
            raise FedMFError(
                f"{self._where(found[0])}: {self.kind} {name!r} cannot be used: "
                f"{type(error).__name__}: {reason}"
            ) from error

    def _where(self, point: EntryPoint) -> str:
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "a nameless distribution"
        return f"{distribution} (entry point {point.name} = {point.value} of {self.group})"


@lru_cache(maxsize=32)
def _entry_points(group: str, _path: tuple[str, ...]) -> list[EntryPoint]:
    """Looked for once per group and search path: it takes milliseconds. Each is listed once, also where a
    distribution is found twice, installed and in a checkout."""
    return sorted(set(entry_points(group=group)), key=lambda point: (point.name, point.value))
