"""The part of a round between two matrices, on actors: train → add → close → open → publish
(:mod:`fedmf_ray.protocol.round` has the phases).

Users and servers work at the same time: servers add uploads while later users still train. Processes that
die are replaced, and only what was lost is done again. No upload is added twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import Step, UserCosts
from fedmf_ray.engine.answers import Receipt
from fedmf_ray.engine.backends import Call, Reference
from fedmf_ray.engine.chair import NewLives
from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.persistence import Lost, persist_in_round
from fedmf_ray.engine.progress import Progress
from fedmf_ray.engine.publishing import Ending, Publisher
from fedmf_ray.planning.participation import ABSENT, IN_TIME, LATE, Fates

Integers = NDArray[np.int64]

Key = tuple[int, int]
"""A training call: the number of the user actor and of its call."""


@dataclass
class Training:
    """What a round's training has brought.

    costs: by call. refused: the reason by user. added: how many users are in the published matrix.
    server_cpu_s: of servers and combiners. openings: the steps in which users opened the sums, if that took
    any, and what each took. published: by server, its matrix once it is there. failure: the latest. done:
    calls whose actor lives and need not be made again. renew: members must sign who answers for the round.
    summing, merging, ending: what combiners and servers have been asked ahead of answers.
    """

    round: int
    fates: Fates
    costs: dict[Key, UserCosts] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    server_cpu_s: float = 0.0
    added: int = 0
    openings: list[Step] = field(default_factory=list)
    published: list[Reference | None] = field(default_factory=list)
    failure: Lost | None = None
    done: set[Key] = field(default_factory=set)
    renew: bool = False
    summing: list[Reference] = field(default_factory=list)
    merging: list[Reference] = field(default_factory=list)
    ending: Ending | None = None
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
    """Drives one round of a crew after another. combine: actors add up the uploads of their users."""

    def __init__(
        self,
        crew: Crew,
        combine: bool,
        progress: Progress,
        least: Callable[[Fates], int],
        too_few: Callable[[int, Training, Fates], None],
    ) -> None:
        """least: how many uploads a round must bring. too_few: called where it brings fewer; raises."""
        self._crew, self._combine, self._progress = crew, combine, progress
        self._publisher = Publisher(crew, combine, least, too_few)
        self._servers = len(crew.servers)

    def train(self, round_number: int, fates: Fates) -> Training:
        """From one matrix to the next, until everything that should arrive has; then the matrix that opens
        the next round is with ``crew.items``.

        Raises :class:`~.persistence.Gone` if what died cannot be replaced without going back.
        """
        work = Training(round_number, fates, published=[None] * self._servers)
        attempts = 0

        def phases() -> None:
            nonlocal attempts
            attempts += 1
            whole = self._train_and_add(work, again=attempts > 1)
            if not (whole and self._publisher.publish(work)):
                raise work.failure or Lost("a server has not got every upload")

        persist_in_round(phases, lambda error: self._heal(work, error))
        self._crew.items[round_number + 1] = list(work.published)
        self._crew.round = round_number + 1
        if (fates == LATE).any():
            self._receive_late(work)
        return work

    def _heal(self, work: Training, error: Lost) -> None:
        self._publisher.keep(work)
        work.renew |= isinstance(error, NewLives)
        renewed = self._crew.heal(work.round, work.published)
        work.done = {key for key in work.done if key[0] not in renewed}
        if work.renew and self._crew.chair is not None:
            self._crew.chair.go_on(work.round, work.published)
            work.renew = False

    def _train_and_add(self, work: Training, again: bool) -> bool:
        """Train the users who have not trained, or whose uploads a server lacks. Returns whether nothing was
        lost on the way."""
        crew, backend = self._crew, self._crew.backend
        calls = self._calls(work, again)
        adding: deque[tuple[Any, dict[int, Reference]]] = deque()
        whole = True
        arrived = sum(len(costs.user_id) for costs in work.costs.values())
        for call, (*uploads, costs, receipt) in backend.stream(calls, crew.limit):
            try:
                # Also what raises a user's error: a server's call must not be made on a failed upload.
                fresh = call.label not in work.costs
                work.costs[call.label], answer = backend.get([costs, receipt])
                work.take(answer, call.label)
            except Lost as error:
                work.failure, whole = error, False
                continue
            work.done.add(call.label)
            arrived += len(work.costs[call.label].user_id) if fresh else 0
            self._progress.users(arrived, int((work.fates != ABSENT).sum()))
            if self._combine:
                continue
            receipts = {
                at: backend.call(server, "receive", uploads[at], again)
                for at, server in enumerate(crew.servers)
                if work.published[at] is None
            }
            adding.append((uploads, receipts))
            if len(adding) > crew.limit:  # bounds the uploads that wait for a server
                whole = self._settle(*adding.popleft(), work) and whole
        while adding:
            whole = self._settle(*adding.popleft(), work) and whole
        if whole and self._combine and work.ending is None:
            self._publisher.hand_over(work, Counter(actor for actor, _ in work.done), joined=False)
        return whole

    def _calls(self, work: Training, again: bool) -> Iterator[Call]:
        """Of training. Where uploads are combined, what follows is asked for with the last of them, unless
        something was lost: its answers then need not come here first."""
        wanted = self._wanted(work, again)
        messages = tuple(self._crew.items[work.round]) if self._combine else ()
        for key in wanted:
            yield self._call(key, work, False, messages)
        if self._combine and not again:
            combined = self._publisher.hand_over(work, Counter(actor for actor, _ in wanted), joined=True)
            work.ending = self._publisher.end(work, combined)

    def _call(self, key: Key, work: Training, late: bool, messages: tuple[Reference, ...] = ()) -> Call:
        """late: now it is the turn of those who are late."""
        actor, call = key
        arguments = (call, self._fates_of(key, work), late, *messages)
        label = (actor, call + (1 << 32)) if late else key
        return Call(self._crew.users[actor], "train", arguments, label, returns=self._servers + 2)

    def _wanted(self, work: Training, again: bool) -> list[Key]:
        """Calls still to be made, interleaved: consecutive ones go to different actors."""
        crew, backend = self._crew, self._crew.backend
        missing: set[int] | None = None
        if again and not self._combine:
            open_servers = [server for at, server in enumerate(crew.servers) if work.published[at] is None]
            added = [set(backend.get(backend.call(server, "added"))) for server in open_servers]
            everybody = np.concatenate([joined.user_ids for joined in crew.joined])
            missing = set(everybody[work.fates == IN_TIME].tolist()) - set.intersection(*added)
        keys = []
        for at, joined in enumerate(crew.joined):
            cuts = self._cuts(at, work)
            for call in range(len(cuts) - 1):
                fates = self._fates_of((at, call), work)
                users = joined.user_ids[cuts[call] : cuts[call + 1]]
                late_only = not ((fates != ABSENT) & (fates != LATE)).any()
                here = missing is not None and not missing.isdisjoint(users.tolist())
                if not late_only and (here or (at, call) not in work.done):
                    keys.append((at, call))
        return sorted(keys, key=lambda key: (key[1], key[0]))

    def _settle(self, uploads: list[Reference], receipts: dict[int, Reference], work: Training) -> bool:
        """Wait until the servers have added some uploads. What one refuses, the others take out again."""
        backend, answers, whole = self._crew.backend, dict[int, Receipt](), True
        for at, receipt in receipts.items():
            try:
                answers[at] = backend.get(receipt)
                work.take(answers[at])
            except Lost as error:
                work.failure, whole = error, False
        refused = frozenset[int]().union(*(answer.refused for answer in answers.values()))
        for at, answer in answers.items():
            elsewhere = refused - answer.refused.keys()
            if elsewhere:
                backend.call(self._crew.servers[at], "retract", uploads[at], elsewhere)
        return whole

    def _receive_late(self, work: Training) -> None:
        """The round is over; servers refuse these uploads. An actor that dies here is
        replaced later, and replays the round."""
        crew, backend = self._crew, self._crew.backend
        counts = [len(self._cuts(at, work)) - 1 for at in range(len(crew.joined))]
        keys = [(at, call) for at, count in enumerate(counts) for call in range(count)]
        late = [key for key in keys if (self._fates_of(key, work) == LATE).any()]
        calls = (self._call(key, work, True) for key in late)
        for call, (*uploads, costs, _) in backend.stream(calls, crew.limit):
            try:
                work.costs[call.label] = backend.get(costs)
                for server, pieces in zip(crew.servers, uploads, strict=True):
                    work.take(backend.get(backend.call(server, "receive", pieces)))
            except Lost:
                continue

    def _fates_of(self, key: Key, work: Training) -> Fates:
        at, call = key
        first, cuts = self._crew.groups[at].start, self._cuts(at, work)
        return work.fates[first + cuts[call] : first + cuts[call + 1]]

    def _cuts(self, at: int, work: Training) -> Integers:
        """Positions of an actor's users where its calls of a round begin, and the last one's end."""
        return self._crew.joined[at].calls[self._crew.plan.terms.layout(work.round).count]
