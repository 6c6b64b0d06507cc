"""Processes on Ray that live and do nothing: whose fault it is if no call ends.

A process that was stopped, or that waits for a disk that never answers, does not look dead: Ray waits for it
for ever. Whoever waits for calls here checks from time to time whether any has ended. If none has for the
whole patience, those who have work count as dead: a process whose oldest call has all its arguments. One that
waits for what another must give first is left alone. While anything at all still ends, nobody is blamed, so a
call may take long beside others; alone, it must end within the patience.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fedmf_ray.engine.persistence import Lost

Reference = Any
Handle = Any

_LONGEST_STEP_S = 5.0


class _Made(NamedTuple):
    """A call that was made. needs: references to its arguments."""

    method: str
    needs: list[Reference]


class Watch:
    """The calls of one backend that are under way.

    patience_s: seconds. done: told of each call of an actor that has ended, by method, with the references
    that it needed. silent: actors that were ended because they ended no call for so long. step_s: how long to
    wait before the next :meth:`check`.
    """

    def __init__(
        self,
        ray: Any,
        patience_s: float,
        done: Callable[[Handle, str, list[Reference]], None] = lambda *_: None,
    ) -> None:
        self._ray, self.patience_s, self._done = ray, patience_s, done
        self.step_s = min(_LONGEST_STEP_S, patience_s / 4)
        self.silent: list[Handle] = []
        # By actor, oldest first, or by its reference if it is a function's; with the references it needs.
        self._calls: dict[Any, dict[Reference, _Made]] = {}
        self._owners: dict[Reference, Any] = {}
        self._births: dict[Handle, list[Reference]] = {}
        self._since = time.monotonic()

    @property
    def reason(self) -> str:
        return f"a process has ended no call for {self.patience_s:g} s (cluster.patience_s)"

    def born(self, actor: Handle, arguments: Iterable[Any]) -> None:
        """An actor is started, and answers nothing before these are there."""
        self._births[actor] = self._references(arguments)

    def made(
        self, reference: Reference, actor: Handle | None, arguments: Iterable[Any], method: str = ""
    ) -> None:
        """A call of an actor, or of a function, was made. reference: to any of its values."""
        owner = reference if actor is None else actor
        self._owners[reference] = owner
        self._calls.setdefault(owner, {})[reference] = _Made(method, self._references(arguments))

    def ended(self, references: Iterable[Reference]) -> None:
        """These are there, or will never be. So are those of earlier calls of the same actor: what is
        forgotten here no longer keeps arguments in memory."""
        for reference in references:
            owner = self._owners.get(reference)
            if owner is None:
                continue
            calls = self._calls[owner]
            for earlier in list(calls):
                self._done(owner, *calls.pop(earlier))
                del self._owners[earlier]
                if earlier == reference:
                    break
            if not calls:
                del self._calls[owner]
            self._births.pop(owner, None)

    def forget(self, actor: Handle) -> None:
        """It has been ended: what it was started with may go."""
        self._births.pop(actor, None)
        self.silent = [other for other in self.silent if other != actor]

    def begin(self) -> None:
        """Somebody starts to wait: what came before was no waiting."""
        self._since = time.monotonic()

    def check(self) -> None:
        """End those who make everybody wait, if no call has ended within the patience.

        Calls of actors that are ended fail; raises :class:`Lost` where there is no actor to end.
        """
        ready = self._ready(list(self._owners))
        self.ended(ready)
        if ready:
            self._since = time.monotonic()
        if time.monotonic() - self._since < self.patience_s:
            return
        self._since = time.monotonic()
        actors, functions = self._idle()
        for actor in actors:
            self.end(actor)
        for reference in functions:
            self._ray.cancel(reference, force=True)
        self.ended(functions)
        if not actors:
            raise Lost(self.reason)

    def end(self, actor: Handle) -> None:
        """End an actor that is silent."""
        self.silent.append(actor)
        self._ray.kill(actor)  # also a stopped one: its machine ends it after some seconds

    def _idle(self) -> tuple[list[Handle], list[Reference]]:
        """Actors, and calls of functions, that could have gone on."""
        could = []
        for owner, calls in self._calls.items():
            needed = [*next(iter(calls.values())).needs, *self._births.get(owner, ())]
            if len(self._ready(needed)) == len(set(needed)):
                could.append(owner)
        functions = [owner for owner in could if isinstance(owner, self._ray.ObjectRef)]
        return [owner for owner in could if owner not in functions], functions

    def _ready(self, references: list[Reference]) -> list[Reference]:
        unique = list(dict.fromkeys(references))
        if not unique:
            return []
        ready: list[Reference]
        ready, _ = self._ray.wait(unique, num_returns=len(unique), timeout=0, fetch_local=False)
        return ready

    def _references(self, arguments: Iterable[Any]) -> list[Reference]:
        return [argument for argument in arguments if isinstance(argument, self._ray.ObjectRef)]
