"""The driver's part in a committee: it draws the members, asks them step by step, and passes on what they
answer.

    agree → part → (servers put the parts together) → certify

What members answer is public, or ciphertext. A member whose process was started again has another life, and
answers for no tables whose signed list of lives names the old one. As long as enough are left, the others go
on. If not, members sign another list, and open the same set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fedmf_ray.costs.seconds import Step
from fedmf_ray.engine.backends import Handle, Reference
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.participation import DROPPED, LATE, Fates
from fedmf_ray.schemes import NAMED_BYTES, Council, listed_digest, run_of

if TYPE_CHECKING:
    from fedmf_ray.engine.crew import Crew

Lives = tuple[bytes, ...]
_SHARES = (0.05, 0.1, 0.2)
"""Of corrupt users, for which the risk is told."""


class NewLives(Lost):
    """Too few members can answer for the tables of this round: they must sign who does."""


class Chair:
    """seats: the positions of the users who are members, by number. run: digest of the list of users.
    setup: CPU seconds and bytes that key agreement took a user, and a member beside that."""

    def __init__(self, crew: Crew, council: Council) -> None:
        self._crew, self._council = crew, council
        self.seats: list[int] = []
        self.run, self._beacon = b"", b""
        self._appointed: list[bytes] = []
        self.setup: dict[str, float] = {"user_keys_cpu_s": 0.0, "member_keys_cpu_s": 0.0}
        self._named: dict[tuple[int, int], Lives] = {}

    def joined(self, which: Sequence[int]) -> None:
        """Some user actors have their users: all of them, or one that was started again. Its users agree on
        the same keys; its members begin new lives."""
        if len(which) == len(self._crew.users):
            self._seat()
        else:
            self._enrol(which)

    def _seat(self) -> None:
        """Everybody publishes keys; members are drawn, and agree on keys with all."""
        crew, backend = self._crew, self._crew.backend
        introduced = backend.get([backend.call(actor, "introduce") for actor in crew.users])
        self._entries = np.concatenate([entries for entries, _ in introduced])
        self.setup["user_keys_bytes"] = self._entries.shape[1]
        self._user_ids = np.concatenate([joined.user_ids for joined in crew.joined])
        listed = listed_digest(self._user_ids, self._entries)
        self._beacon = backend.get(backend.call(crew.users[0], "beacon", listed))
        try:
            self.seats = self._council.drawn(self._user_ids, self._beacon)
        except ValueError as error:
            raise FedMFError(f"protocol.{crew.plan.scheme.name}.members: {error}") from error
        self.run = run_of(listed, self._beacon)
        self._appointed = backend.get(
            [
                backend.call(self._host(number), "appoint", number, int(self._user_ids[position]), self.run)
                for number, position in enumerate(self.seats)
            ]
        )
        agreed, down = zip(*self._enrol(range(len(crew.users))), strict=True)
        self.setup["user_keys_cpu_s"] = max(cpu_s for _, cpu_s in introduced) + max(agreed)
        self.setup["committee_keys_bytes"] = max(down)
        self.setup["member_keys_bytes"] = self._user_ids.nbytes + self._entries.nbytes

    def _enrol(self, which: Sequence[int]) -> list[tuple[float, int]]:
        """Of each of some user actors: CPU seconds and downloaded bytes of a user. What is for all of them is
        one value each, which a machine gets once."""
        crew, backend = self._crew, self._crew.backend
        mine = {at: self._entries[crew.groups[at].start : crew.groups[at].stop] for at in which}
        user_ids = backend.put(self._user_ids)
        named = backend.put(np.ascontiguousarray(self._entries[:, :NAMED_BYTES]))
        public = (user_ids, named, self._beacon, self._appointed)
        agreed = [backend.call(crew.users[at], "enrol", mine[at], *public) for at in which]
        entries = backend.put(self._entries)
        seated = [
            backend.call(self._host(number), "take_seat", number, user_ids, entries, self._beacon)
            for number, at in enumerate(map(self._actor_of, self.seats))
            if at in which
        ]
        took = max([self.setup["member_keys_cpu_s"], *backend.get(seated)])
        self.setup["member_keys_cpu_s"] = took
        answers: list[tuple[float, int]] = backend.get(agreed)
        return answers

    def lend(self, actor: Handle) -> None:
        """Members who collude lend a user actor what they share with everybody."""
        backend = self._crew.backend
        backend.get(backend.call(actor, "overhear", self._user_ids, self._entries))

    def facts(self) -> dict[str, Any]:
        """Who sits there, for ``environment.json``."""
        council = self._council
        return {
            "members": self._user_ids[self.seats].tolist(),
            "colluding": council.colluding,
            "quorum": council.quorum,
            "groups": [list(group) for group in council.groups],
            "key_agreement": council.key_agreement,
            "beacon": self._beacon.hex(),
            "run": self.run.hex(),
            "more_than_colluding_corrupt": {f"{share:g}": council.risk(share) for share in _SHARES},
        }

    def renew(self, number: int, which: Sequence[int]) -> None:
        """Have members sign that those who are there now answer for the tables of some servers that open a
        round."""
        crew, backend = self._crew, self._crew.backend
        messages, lives = [crew.items[number][at] for at in which], self._lives()
        asked = [
            backend.call(self._host(member), "renew", member, lives, *messages)
            for member in range(len(self.seats))
        ]
        signed: list[list[bytes]] = backend.get(asked)
        for place, at in enumerate(which):
            signatures = {member: words[place] for member, words in enumerate(signed)}
            crew.items[number][at] = backend.run(
                _renewed, crew.enrolment.evaluator, messages[place], lives, signatures
            )
            self._named[number, at] = lives

    def go_on(self, number: int, published: Sequence[Reference | None]) -> None:
        """Let members who were started again answer for a round of those servers that have not published.
        They open the set that the others have agreed on: uploads that are lost come again as they were."""
        crew, backend = self._crew, self._crew.backend
        which = [at for at, message in enumerate(published) if message is None]
        self.renew(number, which)
        messages = [crew.items[number][at] for at in which]
        members = range(len(self.seats))
        backend.get([backend.call(self._host(one), "acknowledge", one, *messages) for one in members])
        crew.events("members_renewed", round=number, action="they have signed who answers from now on")

    def open(
        self, number: int, fates: Fates, least: int, closed: Mapping[int, Reference]
    ) -> tuple[dict[int, Reference], list[Step], float]:
        """What opens the sums of servers that have closed a round, by server; what each step took members,
        and CPU seconds of servers. fates: of all users. least: uploads that there must be.

        Raises :class:`NewLives`, and :class:`~fedmf_ray.protocol.items.TamperedError` for sums that no
        member opens."""
        crew, backend, lives = self._crew, self._crew.backend, self._lives()
        able = self._able(number, fates, lives, list(closed))
        signers, sets = able[: self._council.quorum], list(closed.values())
        agreed = [backend.call(self._host(one), "agree", one, least, *sets) for one in signers]
        words, first = self._answers(signers, backend.get(agreed))
        signatures = [{member: answer[at] for member, answer in words.items()} for at in range(len(sets))]
        parts, second = self._parts(able, least, signatures, sets)
        drafts, sheets, cpu_s = list[Reference](), list[Sequence[Reference]](), 0.0
        for at, of_server in zip(closed, parts, strict=True):
            *shown, draft, took = backend.call_split(
                len(signers) + 2, crew.servers[at], "assemble", signers, *of_server
            )
            drafts.append(draft)
            sheets.append(shown)
            cpu_s += backend.get(took)
        asked = [
            backend.call(
                self._host(one), "certify", one, lives, len(sets), *sets, *(shown[at] for shown in sheets)
            )
            for at, one in enumerate(signers)
        ]
        words, third = self._answers(signers, backend.get(asked))
        openings: dict[int, Reference] = {}
        for place, at in enumerate(closed):
            said = [answer[place] for answer in words.values()]
            openings[at], took = backend.call_split(
                2, crew.servers[at], "certified", self.run, lives, said, drafts[place]
            )
            cpu_s += backend.get(took)
            self._named[number + 1, at] = lives
        return openings, [first, second, third], cpu_s

    def _able(self, number: int, fates: Fates, lives: Lives, servers: Sequence[int]) -> list[int]:
        """The members who can answer in this round: who are there, with the lives that its heads name."""
        there = [one for one, position in enumerate(self.seats) if fates[position] not in (DROPPED, LATE)]
        if not self._council.suffice(there):
            raise FedMFError(
                f"round {number}: {len(there)} of {len(self.seats)} members of the committee are there, "
                f"{self._council.quorum} must sign: raise protocol.{self._crew.plan.scheme.name}.members, "
                "or lower participation.dropout and participation.late"
            )
        able = [one for one in there if all(self._named[number, at][one] == lives[one] for at in servers)]
        if not self._council.suffice(able):
            raise NewLives("too many members of the committee were started again")
        return able

    def _parts(
        self, able: Sequence[int], least: int, signatures: Sequence[Any], sets: Sequence[Reference]
    ) -> tuple[list[list[Reference]], Step]:
        """For each set, what one member of each group answers."""
        groups = self._council.openers(able)
        backend = self._crew.backend
        asked = {
            member: backend.call_split(
                len(sets) + 2, self._host(member), "part", member, mine, least, signatures, *sets
            )
            for member, mine in groups.items()
        }
        step: Step = []
        for member, (*_, whole, costs) in asked.items():
            whole, took = backend.get([whole, costs])
            if not whole:
                raise NewLives("a member of the committee cannot answer for this round")
            step.append((self.seats[member], took))
        return [[answers[at] for answers in asked.values()] for at in range(len(sets))], step

    def _answers(self, members: Sequence[int], answers: Sequence[Any]) -> tuple[dict[int, list[Any]], Step]:
        """By member, and what they took."""
        if any(None in words for words, _ in answers):
            raise NewLives("a member of the committee cannot answer for this round")
        words = {member: said for member, (said, _) in zip(members, answers, strict=True)}
        return words, [
            (self.seats[member], costs) for member, (_, costs) in zip(members, answers, strict=True)
        ]

    def _lives(self) -> Lives:
        backend = self._crew.backend
        asked = [backend.call(self._host(one), "life", one) for one in range(len(self.seats))]
        return tuple(backend.get(asked))

    def _actor_of(self, position: int) -> int:
        return next(at for at, group in enumerate(self._crew.groups) if position in group)

    def _host(self, member: int) -> Handle:
        return self._crew.users[self._actor_of(self.seats[member])]


def _renewed(evaluator: Any, message: Any, lives: Lives, signatures: Mapping[int, bytes]) -> Any:
    return evaluator.renewed(message, lives, signatures)
