"""The driver's part where users share the check of published tables: it draws sealers and a settler, and
passes on what they write (:mod:`fedmf_ray.protocol.seals`).

    check_parts → settle_parts → seal_parts

What it passes on is encrypted, or MACs. After a failure all of it is done again; the token is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import OpeningCosts, Step
from fedmf_ray.engine.backends import Reference
from fedmf_ray.planning.participation import Attendance, those_there
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.parts import part_count
from fedmf_ray.protocol.seals import Settled

if TYPE_CHECKING:
    from fedmf_ray.engine.crew import Crew

Integers = NDArray[np.int64]


class SharedCheck:
    """Of a crew, whose users may or may not share the check. steps: by round, what it took whom."""

    def __init__(self, crew: Crew, attendance: Attendance) -> None:
        self._crew, self._attendance = crew, attendance
        self._draw = np.random.default_rng()  # who checks changes no result
        self._applies = crew.plan.terms.shared_check
        self._settled: dict[int, Reference] = {}
        self.steps: dict[int, list[Step]] = {}

    def forget(self, before: int | None = None) -> None:
        """What is known of rounds before this one, or of all."""
        for kept in (self._settled, self.steps):
            for number in [one for one in kept if before is None or one < before]:
                del kept[number]

    def opened(self, number: int) -> bool:
        """Whether users have got what opens a round."""
        return not self._applies or number in self._settled

    def published(self, number: int) -> list[Reference]:
        """What opens a round: a message per server, and if users share the check, what they have settled."""
        messages = self._crew.items[number]
        if not self._applies:
            return messages
        if number not in self._settled:
            self._settle(number, messages)
        return [*messages, self._settled[number]]

    def _settle(self, number: int, messages: Sequence[Reference]) -> None:
        """Have the tables that open a round checked and sealed by users who take part in it.

        Raises :class:`~fedmf_ray.protocol.ledger.TamperedError` for tables that are not the sum of uploads,
        and names two users who disagree about a part.
        """
        backend, present = self._crew.backend, those_there(self._attendance.fates(number))
        count, sealers = self._count(number, len(present)), self._draw.permutation(present)
        who = np.resize(sealers, count)
        shares, checking = self._check(who, messages)
        settler = int(self._draw.choice(present))
        host = self._crew.users[self._host(settler)]
        try:
            settlement, settling = backend.get(backend.call(host, "settle_parts", count, shares, *messages))
        except TamperedError as error:
            others = np.resize(np.roll(sealers, 1), count)
            raise self._disagreement(number, who, shares, others, messages, error) from error
        answers = self._ask(who, "seal_parts", settlement, *messages)
        seals, sealing = [[one[at] for one in answers] for at in (0, 1)]
        self.steps[number] = [checking, [(settler, settling)], _step(who, sealing)]
        self._settled[number] = backend.put(Settled(settlement.token, np.concatenate(seals)))

    def _count(self, number: int, users: int) -> int:
        """Parts of the tables that open a round, with so many users."""
        plan = self._crew.plan
        layout = plan.terms.blocks.opening(number)
        block_bytes = plan.scheme.block_bytes(layout.shape)
        return part_count(layout, block_bytes, plan.scheme.number_bytes(), users)

    def _check(self, who: Integers, messages: Sequence[Reference]) -> tuple[list[bytes], Step]:
        answers = self._ask(who, "check_parts", *messages)
        return [share for share, _ in answers], _step(who, [costs for _, costs in answers])

    def _ask(self, who: Integers, method: str, *arguments: Any) -> list[tuple[Any, OpeningCosts]]:
        """Ask the users who check each part; their answers by part."""
        hosts = np.array([self._host(position) for position in who.tolist()])
        actors, backend = np.unique(hosts).tolist(), self._crew.backend
        theirs = [np.flatnonzero(hosts == actor).tolist() for actor in actors]
        calls = [
            backend.call(self._crew.users[actor], method, len(who), which, *arguments)
            for actor, which in zip(actors, theirs, strict=True)
        ]
        found: list[Any] = [None] * len(who)
        for which, (values, costs) in zip(theirs, backend.get(calls), strict=True):
            for at, value, cost in zip(which, values, costs, strict=True):
                found[at] = value, cost
        return found

    def _host(self, position: int) -> int:
        return next(at for at, group in enumerate(self._crew.groups) if position in group)

    def _disagreement(
        self,
        number: int,
        who: Integers,
        shares: list[bytes],
        others: Integers,
        messages: Sequence[Reference],
        error: TamperedError,
    ) -> TamperedError:
        """What to say when a settler finds an error: other users check the same parts, and two who disagree
        are named. A lie in the token before is noticed only now, so whoever wrote that may be the liar."""
        backend, actor = self._crew.backend, self._crew.users[0]
        again, _ = self._check(others, messages)
        differing = backend.get(backend.call(actor, "differing_shares", number, shares, again))
        for at, same_bytes in differing:
            ids = np.concatenate([joined.user_ids for joined in self._crew.joined])
            one, other = ids[who[at]], ids[others[at]]
            blame = "" if same_bytes else ", or the server passed on something else"
            return TamperedError(
                f"round {number}: users {one} and {other} disagree about part {at + 1} of {len(who)} of the "
                f"item matrix, which both have checked: one of them lies{blame}"
            )
        before = f"; or users who sealed the tables of round {number - 1} lied about them" if number else ""
        return TamperedError(f"{error}{before}")


def _step(who: Integers, costs: Sequence[OpeningCosts]) -> Step:
    return list(zip(who.tolist(), costs, strict=True))
