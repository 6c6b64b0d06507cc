"""What everybody knows of a committee: its public keys, and what is right in the light of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import keys, signed
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.signed import Answering
from fedmf_ray.schemes.council import Council, Signatures
from fedmf_ray.schemes.masked import heads
from fedmf_ray.schemes.masked.checks import is_bytes
from fedmf_ray.schemes.masked.wire import NUMBER_BYTES
from fedmf_ray.schemes.messages import EncryptedItems, Proof


@dataclass(frozen=True)
class Public:
    """colluding: t. members: the public key with which each signs. groups: the members of each group.
    group_keys: with which users agree on keys. dealt: for each group, its members' signatures of that."""

    colluding: int
    members: tuple[bytes, ...]
    groups: tuple[tuple[int, ...], ...]
    group_keys: tuple[bytes, ...]
    dealt: tuple[tuple[bytes, ...], ...]

    @property
    def quorum(self) -> int:
        return Council(len(self.members), self.colluding).quorum

    @property
    def nbytes(self) -> int:
        dealt = sum(len(one) for group in self.dealt for one in group)
        return sum(map(len, self.members)) + sum(map(len, self.group_keys)) + dealt

    def check_members(
        self, run: bytes, user_ids: NDArray[np.int64], named: NDArray[np.uint8], appointed: Sequence[bytes]
    ) -> None:
        """Raise ``ValueError`` for a member's key that the user who was drawn has not signed. user_ids,
        named: who was drawn, by member, and the keys that name them."""
        if len(appointed) != len(self.members):
            raise ValueError("the committee has another number of members")
        for number, (user_id, key) in enumerate(zip(user_ids.tolist(), named, strict=True)):
            text = keys.member_text(number, user_id, run, self.members[number])
            if not keys.is_signed(key[keys.PUBLIC_BYTES :].tobytes(), appointed[number], text):
                raise ValueError(f"user {user_id} was drawn as member {number}, and has not signed its key")

    def check_groups(self, council: Council) -> None:
        """Raise ``ValueError`` for another committee than was agreed on, for a member's or a group's key that
        another has, and for a group's key that not all of its members have signed."""
        if (len(self.members), self.colluding, list(self.groups)) != (
            council.members,
            council.colluding,
            council.groups,
        ):
            raise ValueError("the committee has other members or groups than was agreed on")
        if len(set(self.members)) < len(self.members):
            raise ValueError("two members sign with the same key")
        if len(set(self.group_keys)) < len(self.group_keys):
            raise ValueError("two groups have the same key")
        for group, (who, public, dealt) in enumerate(
            zip(self.groups, self.group_keys, self.dealt, strict=True)
        ):
            text = keys.group_text(group, who, public)
            if len(dealt) != len(who) or not all(
                keys.is_signed(self.members[member], one, text)
                for member, one in zip(who, dealt, strict=True)
            ):
                raise ValueError(f"the key of group {group} is not signed by all of its members")

    def has_quorum(self, text: bytes, signatures: Signatures) -> bool:
        """Whether enough members have signed. A wrong signature counts as none."""
        valid = sum(
            member in range(len(self.members)) and keys.is_signed(self.members[member], one, text)
            for member, one in signatures.items()
        )
        return valid >= self.quorum

    def answering(self, run: bytes, message: EncryptedItems, unsigned: bool = False) -> Answering | None:
        """Who answers for published tables. unsigned: also the very first tables before members have signed
        them, for which nobody does.

        Raises ``ValueError`` unless their head is what it says, and a quorum has signed it."""
        proof, closed = _proof_of(message), closed_of(message)
        assert message.tag is not None
        tables = root(leaves_of(message.ciphertexts))
        head = signed.head_of(run, message.round, proof.before, closed, tables, message.tag.tobytes())
        if head != message.head:
            raise ValueError("its head does not follow from the one before")
        if unsigned and message.round == 0 and not proof.links:
            return None
        return self.who_answers(message)

    def who_answers(self, message: EncryptedItems) -> Answering:
        """As a quorum has signed it. Raises ``ValueError`` otherwise."""
        links = _proof_of(message).links
        if len(links) != 1:
            raise ValueError("a quorum of members has not signed its head")
        answering = Answering.from_bytes(links[0], len(self.members))
        if not self.has_quorum(signed.answers_text(message.head, answering.lives), answering.signatures):
            raise ValueError("a quorum of members has not signed its head")
        return answering


def closed_of(message: EncryptedItems) -> bytes:
    """The digest of the set that tables follow from. Raises ``ValueError`` for a message that is none."""
    proof = _proof_of(message)
    return heads.closed_digest(proof.before, message.round - 1, message.first, message.credited, proof.rest)


def _proof_of(message: EncryptedItems) -> Proof:
    """Raises ``ValueError`` for a message that is none."""
    proof = message.proof
    if not (
        isinstance(message.round, int)
        and isinstance(message.first, int)
        and isinstance(message.head, bytes)
        and is_bytes(message.ciphertexts, (None, 1, None))
        and is_bytes(message.credited, (None,), np.int64)
        and is_bytes(message.tag, (NUMBER_BYTES,))
        and isinstance(proof, Proof)
        and isinstance(proof.before, bytes)
        and isinstance(proof.rest, bytes)
        and is_bytes(proof.seals, (None, None))
        and isinstance(proof.links, tuple)
        and all(isinstance(link, bytes) for link in proof.links)
    ):
        raise ValueError("it has no proof, or none of the agreed form")
    return proof
