"""The part of a round between two matrices: users train, servers add, the matrix is published.

Whatever dies in between is replaced and what was lost is done again; what was not lost is left alone, and
no upload is added twice.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fedmf_ray.costs.seconds import UserCosts
from fedmf_ray.engine.answers import Receipt
from fedmf_ray.engine.backends import Call, Lost, Reference
from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.progress import Progress
from fedmf_ray.planning.participation import ABSENT, IN_TIME, LATE, Fates

Key = tuple[int, int]
"""A training call: the number of the user actor and of its call."""


@dataclass
class Training:
    """What a round's training has brought.

    costs: by call. refused: the reason by user. added: how many users are in the published matrix.
    server_cpu_s: of servers and combiners.
    """

    costs: dict[Key, UserCosts] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    server_cpu_s: float = 0.0
    added: int = 0
    _combined: dict[Key, int] = field(default_factory=dict)

    @property
    def combined(self) -> int:
        """How many users' uploads combiners have added up."""
        return sum(self._combined.values())

    @property
    def commonest_refusal(self) -> str:
        """Why most uploads were refused, without saying whose."""
        if not self.refused:
            return "the others never came"
        reason, count = Counter(self.refused.values()).most_common(1)[0]
        return f"{count} refused because: {reason}"

    def take(self, receipt: Receipt, call: Key | None = None) -> None:
        """call: of the combiner that answers, if it is one."""
        self.server_cpu_s += receipt.cpu_s
        self.refused.update(receipt.refused)
        if call is not None:
            self._combined[call] = receipt.added


class Trainer:
    """Drives one round of a crew after another."""

    def __init__(self, crew: Crew, combine: bool, progress: Progress) -> None:
        self._crew, self._combine, self._progress = crew, combine, progress
        self._servers = len(crew.servers)

    def train(self, round_number: int, fates: Fates) -> Training:
        """Users train and servers add, until everything that should arrive has; then the matrix that opens
        the next round is with ``crew.items``.

        Raises :class:`Lost` if what died cannot be replaced without going back.
        """
        crew, work = self._crew, Training()
        self._fates, self._done = fates, set[Key]()
        closed: list[Reference | None] = [None] * self._servers
        attempt = 0
        while None in closed:
            whole = self._attempt(round_number, closed, work, again=attempt > 0)
            whole = whole and self._publish(closed, work)
            if not whole:
                attempt += 1
                if attempt > 9:
                    raise Lost("processes keep dying")
                renewed = crew.heal(round_number, closed)
                self._done = {key for key in self._done if key[0] not in renewed}
        crew.items[round_number + 1] = list(closed)
        crew.round = round_number + 1
        if (fates == LATE).any():
            self._receive_late(round_number, work)
        return work

    def _attempt(self, number: int, closed: list[Reference | None], work: Training, again: bool) -> bool:
        """Train who has not trained, or whose upload has not reached a server; whether nothing was lost."""
        crew, backend = self._crew, self._crew.backend
        try:
            wanted = self._wanted(closed, again)
        except Lost:
            return False
        messages = tuple(crew.items[number]) if self._combine else ()
        calls = (
            Call(crew.users[at], "train", (call, self._fates_of((at, call)), False, *messages), (at, call))
            for at, call in wanted
        )
        adding: deque[tuple[Any, dict[int, Reference]]] = deque()
        whole = True
        arrived = sum(len(costs.user_id) for costs in work.costs.values())
        for call, (*uploads, costs, receipt) in backend.stream(calls, crew.limit, self._servers + 2):
            try:
                # Also what raises a user's error: a server's call must not be made on a failed upload.
                fresh = call.label not in work.costs
                work.costs[call.label], answer = backend.get([costs, receipt])
                work.take(answer, call.label)
            except Lost:
                whole = False
                continue
            self._done.add(call.label)
            arrived += len(work.costs[call.label].user_id) if fresh else 0
            self._progress.users(arrived, int((self._fates != ABSENT).sum()))
            if self._combine:
                continue
            receipts = {
                at: backend.call(server, "receive", uploads[at], again)
                for at, server in enumerate(crew.servers)
                if closed[at] is None
            }
            adding.append((uploads, receipts))
            if len(adding) > crew.limit:  # bounds the uploads that wait for a server
                whole = self._settle(*adding.popleft(), work) and whole
        while adding:
            whole = self._settle(*adding.popleft(), work) and whole
        if whole and self._combine:
            self._merge(closed)
        return whole

    def _wanted(self, closed: list[Reference | None], again: bool) -> list[Key]:
        """Calls still to be made, interleaved: consecutive ones go to different actors."""
        crew, backend = self._crew, self._crew.backend
        missing: set[int] | None = None
        if again and not self._combine:
            open_servers = [server for at, server in enumerate(crew.servers) if closed[at] is None]
            added = [set(backend.get(backend.call(server, "added"))) for server in open_servers]
            everybody = np.concatenate([joined.user_ids for joined in crew.joined])
            missing = set(everybody[self._fates == IN_TIME].tolist()) - set.intersection(*added)
        keys = []
        for at, joined in enumerate(crew.joined):
            for call in range(len(joined.calls) - 1):
                fates = self._fates_of((at, call))
                users = joined.user_ids[joined.calls[call] : joined.calls[call + 1]]
                late_only = not ((fates != ABSENT) & (fates != LATE)).any()
                here = missing is not None and not missing.isdisjoint(users.tolist())
                if not late_only and (here or (at, call) not in self._done):
                    keys.append((at, call))
        return sorted(keys, key=lambda key: (key[1], key[0]))

    def _settle(self, uploads: list[Reference], receipts: dict[int, Reference], work: Training) -> bool:
        """Wait until the servers have added some uploads. What one refuses, the others take out again."""
        backend, answers, whole = self._crew.backend, dict[int, Receipt](), True
        for at, receipt in receipts.items():
            try:
                answers[at] = backend.get(receipt)
                work.take(answers[at])
            except Lost:
                whole = False
        refused = frozenset[int]().union(*(answer.refused for answer in answers.values()))
        for at, answer in answers.items():
            elsewhere = refused - answer.refused.keys()
            if elsewhere:
                backend.call(self._crew.servers[at], "retract", uploads[at], elsewhere)
        return whole

    def _merge(self, closed: list[Reference | None]) -> None:
        """Combiners hand over what they have added up; servers ignore what they have got already. Nobody
        waits for this: a server does not publish before it has everything."""
        crew, backend = self._crew, self._crew.backend
        for trained in sorted({actor for actor, _ in self._done}):
            sums = backend.call(crew.users[trained], "partial_sums", returns=self._servers)
            for at, (server, partial) in enumerate(
                zip(crew.servers, [sums] if self._servers == 1 else sums, strict=True)
            ):
                if closed[at] is None:
                    backend.call(server, "merge", partial)

    def _publish(self, closed: list[Reference | None], work: Training) -> bool:
        crew, backend, whole = self._crew, self._crew.backend, True
        expected = work.combined if self._combine else None
        publishing = {
            at: backend.call(server, "publish", expected, returns=3)
            for at, server in enumerate(crew.servers)
            if closed[at] is None
        }
        for at, (message, cpu_s, added) in publishing.items():
            try:
                seconds, work.added = backend.get([cpu_s, added])
                work.server_cpu_s += seconds
                if expected is None or work.added == expected:
                    closed[at] = message
                else:
                    whole = False
            except Lost:
                whole = False
        return whole

    def _receive_late(self, round_number: int, work: Training) -> None:
        """The round is over; servers refuse these uploads. If an actor is lost here, whoever replaces it
        lives through the round again."""
        crew, backend = self._crew, self._crew.backend
        keys = [(at, call) for at, joined in enumerate(crew.joined) for call in range(len(joined.calls) - 1)]
        calls = (
            Call(crew.users[at], "train", (call, self._fates_of((at, call)), True), (at, call + (1 << 32)))
            for at, call in keys
            if (self._fates_of((at, call)) == LATE).any()
        )
        for call, (*uploads, costs, _) in backend.stream(calls, crew.limit, self._servers + 2):
            try:
                work.costs[call.label] = backend.get(costs)
                for server, pieces in zip(crew.servers, uploads, strict=True):
                    work.take(backend.get(backend.call(server, "receive", pieces)))
            except Lost:
                continue

    def _fates_of(self, key: Key) -> Fates:
        at, call = key
        first, cuts = self._crew.groups[at].start, self._crew.joined[at].calls
        return self._fates[first + cuts[call] : first + cuts[call + 1]]
