"""For schemes whose sums a committee of users opens: who sits in it, and what its members do.

A round is opened in steps: members *agree* on a closed set, one member of each group sends its *part*, a
server puts the parts together, and members *certify* the tables that follow. :mod:`.committee` is such a
scheme."""

from __future__ import annotations

import hashlib
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening
from fedmf_ray.schemes.sides import Integers, KeyHolder, Known
from fedmf_ray.schemes.sums import Evaluator

Bytes = NDArray[np.uint8]
Signatures = Mapping[int, bytes]
"""Of members, by number."""


NAMED_BYTES = 64
"""Of what a user publishes: its public keys. What follows may be made anew, as when a run goes on."""


class AnotherSet(ValueError):
    """The member has agreed on another set for this head, or cannot answer for this head: another one must,
    or members sign who does."""


@dataclass(frozen=True)
class Council:
    """m members of whom t may collude.

    A group is what is left without some t members. So whichever t collude, one group has none of them; and
    any member may be away as long as every group has somebody left."""

    members: int
    colluding: int
    key_agreement: str = ""
    """By which users agree on keys with it."""

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The members of each group, by number."""
        return list(itertools.combinations(range(self.members), self.members - self.colluding))

    @property
    def quorum(self) -> int:
        """How many must sign. Any two such sets share an honest member if there are 3t + 1 members or more;
        with fewer, t may still be away, but a server that colludes with one could get two sets signed."""
        return min((self.members + self.colluding) // 2 + 1, self.members - self.colluding)

    @property
    def stands_alone(self) -> bool:
        """Whether it stands against t members and a server that does not follow the protocol at once."""
        return self.members >= 3 * self.colluding + 1

    def suffice(self, there: Collection[int]) -> bool:
        """Whether these members are a quorum, and each group has one of them."""
        return len(there) >= self.quorum and all(set(group) & set(there) for group in self.groups)

    def openers(self, able: Collection[int]) -> dict[int, list[int]]:
        """For each member that opens, its groups: they are shared among those who can."""
        groups: dict[int, list[int]] = {}
        for group, who in enumerate(self.groups):
            member = min((one for one in who if one in able), key=lambda one: len(groups.get(one, ())))
            groups.setdefault(member, []).append(group)
        return groups

    def drawn(self, user_ids: Integers, beacon: bytes) -> list[int]:
        """The positions of the users who are members, by number: those with the smallest SHA-256 of public
        randomness, fixed after the list of users, and of their id.

        Raises ``ValueError`` where there are fewer users than members, and for a user who is listed twice: it
        would have two lots."""
        if (user_ids[1:] <= user_ids[:-1]).any():
            raise ValueError("the list of users is not in order, or has one of them twice")
        if self.members > len(user_ids):
            raise ValueError(f"{self.members} members of {len(user_ids)} users: name fewer members")
        lots = [
            hashlib.sha256(b"fedmf-ray member" + beacon + one.to_bytes(8, "little", signed=True)).digest()
            for one in user_ids.tolist()
        ]
        return sorted(range(len(lots)), key=lots.__getitem__)[: self.members]

    def risk(self, share: float) -> float:
        """The probability that more than t members are corrupt, if that share of many users is."""
        return sum(
            math.comb(self.members, k) * share**k * (1 - share) ** (self.members - k)
            for k in range(self.colluding + 1, self.members + 1)
        )


def listed_digest(user_ids: Integers, entries: Bytes) -> bytes:
    """Of who takes part: users, and the keys that name them, with which what they have published begins."""
    named = np.ascontiguousarray(entries[:, :NAMED_BYTES])
    return hashlib.sha256(user_ids.astype("<i8").tobytes() + named.tobytes()).digest()


def run_of(listed: bytes, beacon: bytes) -> bytes:
    """What names a run: the list of its users, and the randomness that chose its members."""
    return hashlib.sha256(b"fedmf-ray run" + listed + beacon).digest()


class Member(ABC):
    """number: of the member. life: fresh whenever its process begins."""

    number: int
    life: bytes

    @abstractmethod
    def take_seat(self, user_ids: Integers, entries: Bytes, beacon: bytes) -> None:
        """Agree on keys with all users. Raises ``ValueError`` for what they cannot have published, and for
        another list than the one that names the run."""

    @abstractmethod
    def agree(self, closed: Closed, known: Known) -> bytes:
        """Its signature of a closed set: of one set for each head. Raises :class:`AnotherSet`, and
        ``ValueError`` for what is no set."""

    @abstractmethod
    def has_agreed(self, closed: Closed) -> bool:
        """Whether it has seen this set before."""

    @abstractmethod
    def part(self, group: int, closed: Closed, known: Known, signatures: Signatures) -> Any:
        """What opens a set for one of its groups, once a quorum has agreed on it. Raises likewise."""

    @abstractmethod
    def certify(self, closed: Closed, sheet: Any, known: Known, lives: Sequence[bytes]) -> Any:
        """Its word for the tables that follow from the set it agreed on. sheet: from which it computes them,
        of :meth:`CouncilEvaluator.sheets`. lives: of the members who answer for them. Raises likewise."""

    @abstractmethod
    def renew(self, message: EncryptedItems, lives: Sequence[bytes]) -> bytes:
        """Its signature of who answers for published tables. Raises ``ValueError``."""

    @abstractmethod
    def acknowledge(self, message: EncryptedItems) -> None:
        """Know who answers for tables that it has read, once a quorum has signed that. Raises
        ``ValueError``."""


class CouncilKeyHolder(KeyHolder):
    """A user's side, and the members that its process hosts."""

    @property
    def members(self) -> Sequence[Member]:
        """All, by number; those of other processes are never asked here."""
        raise NotImplementedError

    def introduce(self, user_ids: Integers) -> Bytes:
        """(users, bytes): what users publish of themselves."""
        raise NotImplementedError

    def beacon(self, listed: bytes) -> bytes:
        """Public randomness that is fixed after the list of users. listed: its digest."""
        raise NotImplementedError

    def appoint(self, number: int, user_id: int, run: bytes) -> bytes:
        """The signature of a user who has been drawn as a member, of the key with which it signs as such."""
        raise NotImplementedError

    def check_committee(
        self, mine: Integers, user_ids: Integers, named: Bytes, beacon: bytes, appointed: Sequence[bytes]
    ) -> bytes:
        """What names the run, once users have checked that they are on the list themselves, that the
        committee is of users who were drawn, and its keys theirs. mine: the ids of the users who check.
        named: (users, 64) the keys that name all users. appointed: of :meth:`appoint`, by member. Raises
        ``ValueError``."""
        raise NotImplementedError

    @property
    def committee_bytes(self) -> int:
        """Of the committee's keys, as each user downloads them."""
        raise NotImplementedError

    def enrol(self, user_ids: Integers, entries: Bytes, run: bytes) -> None:
        """Agree on keys with the committee. entries: what these users have published. run: of
        :meth:`check_committee`."""
        raise NotImplementedError

    def overhear(self, user_ids: Integers, entries: Bytes) -> None:
        """Know what colluding members share with these users, for :meth:`read_as`. Audits alone ask for
        it."""
        raise NotImplementedError


class CouncilEvaluator(Evaluator):
    """A server's side: it puts together what members send."""

    def lists_of(self, closed: Closed) -> Closed:
        """What members need of a closed set: without the sums."""
        return closed

    def assemble(self, closed: Closed, parts: Sequence[Any]) -> Opening:
        """The next tables, which nobody has signed yet. Raises ``ValueError`` that names a group whose part
        is missing or wrong."""
        raise NotImplementedError

    def sheets(self, closed: Closed, parts: Sequence[Any], members: Sequence[int]) -> list[Any]:
        """What these members compute the next tables from."""
        raise NotImplementedError

    def certified(self, run: bytes, draft: Opening, lives: Sequence[bytes], words: Sequence[Any]) -> Opening:
        """The next tables with the words of a quorum. Raises ``ValueError`` without one."""
        raise NotImplementedError

    def renewed(
        self, message: EncryptedItems, lives: Sequence[bytes], signatures: Signatures
    ) -> EncryptedItems:
        """The same tables, for which other members answer."""
        raise NotImplementedError
