"""The end of a round's training, on actors: add → close → open → publish.

Where uploads are combined, servers are asked for it with the last call of training, before that has ended:
each process waits for what it needs, and the driver for the end alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fedmf_ray.engine.backends import Handle, Reference
from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.planning.participation import IN_TIME, Fates

if TYPE_CHECKING:
    from fedmf_ray.engine.training import Training


class Ending(NamedTuple):
    """What servers have been asked, by server: to close the round, and to publish; the latter not where users
    must open what was closed. combined: of how many users combiners hand over sums, if they do."""

    combined: Sequence[Reference | int]
    closing: dict[int, tuple[Reference, ...]]
    publishing: dict[int, tuple[Reference, ...]]


class Publisher:
    """Ends one round of a crew after another. combine: actors add up the uploads of their users."""

    def __init__(
        self,
        crew: Crew,
        combine: bool,
        least: Callable[[Fates], int],
        too_few: Callable[[int, Training, Fates], None],
    ) -> None:
        """As of :class:`~.training.Trainer`."""
        self._crew, self._combine = crew, combine
        self._least, self._too_few = least, too_few
        self._servers = len(crew.servers)
        self._draw = np.random.default_rng()  # which user opens changes no result

    def hand_over(self, work: Training, trained: Counter[int], joined: bool) -> list[Reference]:
        """Combiners hand over what they have added up; servers ignore what they have got already. No call
        waits for this: a server does not close before it has everything. trained: by actor, how many calls of
        training it must have done first. joined: those of a node hand over one sum; not after a failure,
        because servers can ignore a sum as a whole only. Returns of how many users each sum is."""
        crew, backend = self._crew, self._crew.backend
        counts, calls = [], {crew.users[at]: count for at, count in sorted(trained.items())}

        def sums_of(actor: Handle) -> tuple[Reference, ...]:
            *sums, count, took = backend.call_split(self._servers + 2, actor, "partial_sums", calls[actor])
            work.summing.append(took)
            return (*sums, count)

        for first, *others in backend.by_node(list(calls)) if joined else [[actor] for actor in calls]:
            *sums, count = sums_of(first)
            if others:
                theirs = [sums_of(actor) for actor in others]
                values = (*crew.items[work.round], *(each for *those, _ in theirs for each in those))
                arguments = calls[first], self._servers, *values
                *sums, count = backend.call_split(self._servers + 1, first, "joined_sums", *arguments)
            for at, (server, partial) in enumerate(zip(crew.servers, sums, strict=True)):
                if work.published[at] is None:
                    work.merging.append(backend.call(server, "merge", partial))
            counts.append(count)
        return counts

    def end(self, work: Training, combined: Sequence[Reference | int]) -> Ending:
        """Ask servers to close the round, and to publish if users need not open anything. combined: of how
        many users combiners hand over sums."""
        crew, backend = self._crew, self._crew.backend
        waiting = [at for at, message in enumerate(work.published) if message is None]
        closing = {at: backend.call_split(3, crew.servers[at], "close", *combined) for at in waiting}
        publishing = {}
        if not crew.plan.scheme.opens:
            publishing = {at: backend.call_split(2, crew.servers[at], "publish") for at in waiting}
        return Ending(combined, closing, publishing)

    def keep(self, work: Training) -> None:
        """After a failure: what servers that were asked ahead have published all the same stays."""
        ending, work.ending, work.merging, work.summing = work.ending, None, [], []
        if ending is None:
            return
        for at, published in ending.publishing.items():
            try:
                self._take(work, at, ending, published)
            except Lost:
                continue

    def _take(self, work: Training, at: int, ending: Ending, published: tuple[Reference, ...]) -> bool:
        """What a server has published, if it has closed the round with everything."""
        backend = self._crew.backend
        close_cpu_s, added, publish_cpu_s = backend.get([*ending.closing[at][1:], published[1]])
        counts = [one if isinstance(one, int) else backend.get(one) for one in ending.combined]
        if counts and added != sum(counts):
            return False
        work.added = added
        work.server_cpu_s += close_cpu_s + publish_cpu_s
        work.published[at] = published[0]
        return True

    def publish(self, work: Training) -> bool:
        """Close, open, publish: asked of each server at once, and of an opener if sums must be opened.
        Whether all have published everything."""
        crew, backend, whole = self._crew, self._crew.backend, True
        ending = work.ending or self.end(work, [work.combined] if self._combine else [])
        work.ending = ending
        backend.ended(work.merging)  # nobody keeps partial sums in memory while what they give is closed
        work.server_cpu_s += sum(backend.get(work.summing))
        publishing, work.ending, work.merging, work.summing = ending.publishing, None, [], []
        if crew.plan.scheme.opens:
            for at, (closed, *_) in ending.closing.items():
                backend.call(crew.servers[at], "hold", closed)
            openings = self._open(ending.closing, work)
            publishing = {
                at: backend.call_split(2, crew.servers[at], "publish", *openings.get(at, ()))
                for at in ending.closing
            }
        for at in ending.closing:
            try:
                whole = self._take(work, at, ending, publishing[at]) and whole
            except Lost as error:
                work.failure, whole = error, False
        return whole

    def _open(
        self, closing: dict[int, tuple[Reference, ...]], work: Training
    ) -> dict[int, tuple[Reference, ...]]:
        """Users open the sums of all servers that have closed the round and not yet published: a committee,
        or one who is drawn from those who took part. Whoever takes over after a failure is drawn again, and
        answers the same.

        Raises :class:`~fedmf_ray.protocol.items.TamperedError` for sums that no user opens.
        """
        crew, backend = self._crew, self._crew.backend
        closed, least = [references[0] for references in closing.values()], self._least(work.fates)
        work.added = min(backend.get([references[2] for references in closing.values()]))
        whole = not self._combine or work.added == work.combined  # or else the round stays open
        if whole and work.added < least:
            self._too_few(work.round, work, work.fates)
        if crew.chair is not None:
            if not whole:  # one user cannot open what another server has closed already
                raise Lost("a server has not got every upload")
            sets = dict(zip(closing, closed, strict=True))
            openings, steps, cpu_s = crew.chair.open(work.round, work.fates, least, sets)
            work.openings += steps
            work.server_cpu_s += cpu_s
            return {at: (opening,) for at, opening in openings.items()}
        present = np.flatnonzero(work.fates == IN_TIME)
        opener = int(self._draw.choice(present)) if len(present) else 0
        actor = next(at for at, group in enumerate(crew.groups) if opener in group)
        arguments = least, *closed
        *answers, opened = backend.call_split(len(closed) + 1, crew.users[actor], "open_sums", *arguments)
        work.openings.append([(opener, backend.get(opened))])
        return {at: (answer,) for at, answer in zip(closing, answers, strict=True)}
