"""The calls of a user actor that hosts members of a committee: the steps in which they open a round
together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import OpeningCosts, cpu_clock
from fedmf_ray.engine.keeper import Keeper
from fedmf_ray.errors import FedMFError
from fedmf_ray.protocol.items import Ledger
from fedmf_ray.protocol.messages import Closed, EncryptedItems
from fedmf_ray.protocol.user import Users
from fedmf_ray.schemes import AnotherSet, CouncilKeyHolder

Integers = NDArray[np.int64]
Word = Any
"""What a member answers for one server; None if it cannot answer."""


class Seats(Keeper):
    """Under schemes with a committee. number: of a member whose user is hosted here."""

    _users: Users
    _ledger: Ledger

    @property
    def _held(self) -> CouncilKeyHolder:
        return cast(CouncilKeyHolder, self._key)

    def introduce(self) -> tuple[NDArray[np.uint8], float]:
        """What the users here publish of themselves, and CPU seconds of one."""
        started = cpu_clock()
        entries = self._held.introduce(self._users.user_ids)
        return entries, (cpu_clock() - started) / len(self._users)

    def appoint(self, number: int, user_id: int, run: bytes) -> bytes:
        """A user here has been drawn as a member: its signature of the key with which it signs as such."""
        return self._held.appoint(number, user_id, run)

    def enrol(
        self,
        entries: NDArray[np.uint8],
        user_ids: Integers,
        named: NDArray[np.uint8],
        beacon: bytes,
        appointed: Sequence[bytes],
    ) -> tuple[float, int]:
        """The users here check who sits in the committee, and agree on keys with its groups; CPU seconds, and
        bytes of what was downloaded, of one. entries: what they have published. The others as of
        :meth:`CouncilKeyHolder.check_committee`."""
        started, key = cpu_clock(), self._held
        try:
            run = key.check_committee(self._users.user_ids, user_ids, named, beacon, appointed)
        except ValueError as error:
            raise FedMFError(f"the committee's keys are not accepted: {error}") from error
        checked = cpu_clock()
        key.enrol(self._users.user_ids, entries, run)
        down = user_ids.nbytes + named.nbytes + len(beacon) + sum(map(len, appointed)) + key.committee_bytes
        return checked - started + (cpu_clock() - checked) / len(self._users), down

    def overhear(self, user_ids: Integers, entries: NDArray[np.uint8]) -> None:
        """What members who collude share with these users, for :meth:`decrypt_for_server`."""
        self._held.overhear(user_ids, entries)

    def beacon(self, listed: bytes) -> bytes:
        """Public randomness that is fixed after the list of users."""
        return self._held.beacon(listed)

    def take_seat(self, number: int, user_ids: Integers, entries: NDArray[np.uint8], beacon: bytes) -> float:
        """A member agrees on keys with all users, for each of its groups; CPU seconds."""
        started = cpu_clock()
        try:
            self._held.members[number].take_seat(user_ids, entries, beacon)
        except ValueError as error:
            raise FedMFError(f"member {number} of the committee: {error}") from error
        return cpu_clock() - started

    def life(self, number: int) -> bytes:
        """Of a member: another one if it has been started again."""
        return self._held.members[number].life

    def agree(self, number: int, least: int, *closed: Closed) -> tuple[list[Word], OpeningCosts]:
        """Its signature of each closed set."""
        known, member = self._known(least), self._held.members[number]
        return self._answers(closed, lambda _, one: member.agree(one, known))

    def part(
        self, number: int, groups: Sequence[int], least: int, signatures: Sequence[Any], *closed: Closed
    ) -> tuple[Any, ...]:
        """What opens each closed set for some groups: (an answer for each set), whether all are there, and
        costs. signatures: of each set, by member."""
        known, member = self._known(least), self._held.members[number]

        def parts_of(at: int, one: Closed) -> list[Any]:
            return [member.part(group, one, known, signatures[at]) for group in groups]

        seen = sum(one.nbytes for one in closed if member.has_agreed(one))
        answers, costs = self._answers(closed, parts_of)
        more = sum(map(len, (word for one in signatures for word in one.values())))
        costs = costs._replace(download_bytes=costs.download_bytes - seen + more)
        return (*answers, None not in answers, costs)

    def certify(
        self, number: int, lives: Sequence[bytes], sets: int, *received: Any
    ) -> tuple[list[Word], OpeningCosts]:
        """Its word for the tables that follow from each of so many closed sets, which it has got before.
        received: these, and what it computes the tables from."""
        known, member = self._known(0), self._held.members[number]
        closed, sheets = received[:sets], received[sets:]

        def word_for(at: int, one: Closed) -> Any:
            return member.certify(one, sheets[at], known, lives)

        words, costs = self._answers(closed, word_for)
        down = sum(one.nbytes for one in sheets) + len(sheets) * sum(map(len, lives))
        return words, costs._replace(download_bytes=down)

    def renew(self, number: int, lives: Sequence[bytes], *messages: EncryptedItems) -> list[bytes]:
        """Its signature of who answers for each server's tables."""
        member = self._held.members[number]
        return [self._ledger.naming(one, partial(member.renew, one, lives)) for one in messages]

    def acknowledge(self, number: int, *messages: EncryptedItems) -> None:
        """Who answers for each server's tables now."""
        member = self._held.members[number]
        for one in messages:
            self._ledger.naming(one, partial(member.acknowledge, one))

    def _known(self, least: int) -> Any:
        return self._ledger.known(least)

    def _answers(
        self, messages: Sequence[Closed], answer: Callable[[int, Closed], Word]
    ) -> tuple[list[Word], OpeningCosts]:
        started, words = cpu_clock(), list[Word]()
        for at, one in enumerate(messages):
            try:
                words.append(self._ledger.naming(one, partial(answer, at, one)))
            except AnotherSet:
                words.append(None)
        down, up = sum(one.nbytes for one in messages), sum(map(_size, words))
        return words, OpeningCosts(cpu_clock() - started, down, up, len(messages))


def _size(word: Word) -> int:
    if word is None:
        return 0
    if isinstance(word, list):
        return sum(map(_size, word))
    return len(word) if isinstance(word, bytes) else int(word.nbytes)
