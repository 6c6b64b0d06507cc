"""Rounds of a server whose sums users must open: as often as it takes to time them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numpy as np

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.protocol.messages import EncryptedItems, Opening
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Contribution, Users
from fedmf_ray.schemes import Council, CouncilEvaluator, CouncilKeyHolder, Evaluator, KeyHolder, Known

T = TypeVar("T")


class OpenedRound:
    """One user opens. people, steps: who upload, and what. council: who opens instead."""

    def __init__(
        self,
        evaluator: Evaluator,
        key: KeyHolder,
        items: EncryptedItems,
        terms: Terms,
        people: Users,
        steps: Contribution,
        council: Council | None = None,
    ) -> None:
        self._people, self._steps = people, steps
        rows = people.upload_rows.within(0, terms.blocks.count)
        self._server = Server(evaluator, items, Roster(people.user_ids, rows), terms.blocks)
        self._evaluator, self._key, self._terms, self._head = evaluator, key, terms, items.head
        self._council = council or Council(0, 0)
        self._read(items)
        self._opening: Opening | None = None
        self._server_s = 0.0

    def _read(self, items: EncryptedItems) -> None:
        """Who opens has read the tables before."""

    def receive(self, uploads: bool = True) -> None:
        """Everybody's upload of the round, if it has not arrived; then the sums are opened."""
        if self._opening is not None:
            return
        if uploads:
            now, heads, count = self._server.round, {0: self._head}, len(self._people)
            for (piece,) in self._people.uploads(0, count, now, self._steps, self._key, self._terms, heads):
                self._server.receive(piece)
        self._closed = self._server.close()
        self.open()

    @property
    def _known(self) -> Known:
        users = self._terms.setting.point.contributors
        fresh = self._terms.layout(self._server.round).fresh
        return Known(self._server.round, {0: self._head}, fresh, 0, users)

    def open(self) -> float:
        """CPU seconds of who opens."""
        started = cpu_clock()
        (self._opening,) = self._key.open([self._closed], self._known)
        return cpu_clock() - started

    def __call__(self) -> float:
        """Publish; CPU seconds of the server."""
        self.receive()
        assert self._opening is not None
        started = cpu_clock()
        self._server.close()
        message = self._server.publish(self._opening)
        seconds = cpu_clock() - started + self._server_s
        self._read(message)
        self._head, self._opening = self._opening.head, None
        return seconds


class CouncilRound(OpenedRound):
    """A committee opens: of each step, the slowest member counts, for all are at work at once."""

    def _read(self, items: EncryptedItems) -> None:
        self._key.read(items, np.arange(len(items.ciphertexts)))

    def open(self) -> float:
        key, evaluator = cast(CouncilKeyHolder, self._key), cast(CouncilEvaluator, self._evaluator)
        members, known, closed = key.members, self._known, self._closed
        steps: list[list[float]] = [[], [], []]

        def timed(step: int, answer: Callable[[], T]) -> T:
            started = cpu_clock()
            said = answer()
            steps[step].append(cpu_clock() - started)
            return said

        signatures = {one.number: timed(0, partial(one.agree, closed, known)) for one in members}
        parts = [
            timed(1, partial(members[who[0]].part, group, closed, known, signatures))
            for group, who in enumerate(self._council.groups)
        ]
        begun = cpu_clock()
        draft = evaluator.assemble(closed, parts)
        sheets = evaluator.sheets(closed, parts, range(len(members)))
        assembled = cpu_clock()
        lives = [one.life for one in members]
        words = [
            timed(2, partial(one.certify, closed, sheet, known, lives))
            for one, sheet in zip(members, sheets, strict=True)
        ]
        certifying = cpu_clock()
        self._opening = evaluator.certified(key.run, draft, lives, words)
        self._server_s = cpu_clock() - certifying + assembled - begun
        return sum(map(max, steps))
