"""The driver's part in what user actors share: it passes on public keys and ciphertext.

Where all actors are one process it passes on the key itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from fedmf_ray.engine.answers import Joined
from fedmf_ray.engine.backends import Backend, Handle, Reference
from fedmf_ray.engine.keeper import Greeting, members_for
from fedmf_ray.engine.vault import Place
from fedmf_ray.planning.plan import Plan
from fedmf_ray.storage.checkpoint_files import Part

Guest = tuple[Handle, Greeting]


class Newcomer(NamedTuple):
    """An actor without users yet. group: the positions of its users. saved: files from which they come."""

    actor: Handle
    group: range
    saved: Sequence[Part] = ()


class Enrolment:
    """evaluator: reference to the servers' side of the scheme. keys_cpu_s: of the latest key ceremony."""

    def __init__(self, plan: Plan, backend: Backend, key_part: Part | None) -> None:
        self._plan, self._backend, self._key_part = plan, backend, key_part
        self.evaluator: Reference = None
        self.keys_cpu_s = 0.0
        self._ceremony: Reference = None

    def found(self, founder: Handle, ceremony: str) -> None:
        """One user makes the keys (``create_keys``), or reads them again (``load_keys``)."""
        scheme, shape = self._plan.scheme, self._plan.terms.blocks.shape
        self._ceremony = self._backend.call(founder, ceremony, scheme, shape, self._key_part)

    def wait(self) -> None:
        """On return, no key is being written."""
        with suppress(Exception):
            if self._ceremony is not None:
                self._backend.get(self._ceremony)

    def join(self, sponsor: Handle, newcomers: Sequence[Newcomer]) -> list[Joined]:
        """Actors get the key from the sponsor, who may be one of them, and make their users."""
        backend = self._backend
        # While keys are being made, the others say who they are.
        met = [backend.call(new.actor, "meet") for new in newcomers if backend.apart]
        if self._ceremony is not None:
            try:
                self.keys_cpu_s = backend.get(self._ceremony)
            except Exception:
                self._ceremony = None
                raise
            self._ceremony = None
        self.evaluator, key, place = backend.call_split(3, sponsor, "sides")
        asked: list[Reference]
        if backend.apart:
            greetings: list[Greeting] = backend.get(met)
            self._enter(sponsor, newcomers, greetings, key, place)
            asked = [
                backend.call(new.actor, "set_up", members_for(greeting, self._members(new)), new.saved)
                for new, greeting in zip(newcomers, greetings, strict=True)
            ]
        else:
            sides = self.evaluator, key
            asked = [
                backend.call(new.actor, "set_up", self._members(new), new.saved, sides) for new in newcomers
            ]
        return list(backend.get(asked))

    def _enter(
        self,
        sponsor: Handle,
        newcomers: Sequence[Newcomer],
        greetings: Sequence[Greeting],
        key: Reference,
        place: Reference,
    ) -> None:
        """Newcomers enter the sponsor's session: first one per machine, with tables, then those who share its
        tables. Who cannot (another container) gets tables, too."""
        backend, places = self._backend, [self._backend.get(place)]
        machines, first, rest = {places[0].machine}, list[Guest](), list[Guest]()
        for new, greeting in zip(newcomers, greetings, strict=True):
            if new.actor is not sponsor:
                (rest if greeting.machine in machines else first).append((new.actor, greeting))
                machines.add(greeting.machine)

        def enter(guests: Sequence[Guest], *tables: Reference) -> list[Guest]:
            """Those who need tables."""
            boxes = [backend.call(sponsor, "admit", greeting.public) for _, greeting in guests]
            entered: list[Place | None] = backend.get(
                [
                    backend.call(actor, "enter", box, self.evaluator, key, list(places), *tables)
                    for (actor, _), box in zip(guests, boxes, strict=True)
                ]
            )
            places.extend(place for place in entered if place is not None)
            return [guest for guest, place in zip(guests, entered, strict=True) if place is None]

        if first:
            enter(first, backend.call(sponsor, "tables"))
        if without := enter(rest):
            enter(without, backend.call(sponsor, "tables"))

    def _members(self, new: Newcomer) -> object:
        return self._plan.population.members(new.group.start, new.group.stop)
