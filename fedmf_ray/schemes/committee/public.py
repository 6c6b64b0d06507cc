"""What everybody knows of a committee: its public keys, and what is right in the light of them."""

from __future__ import annotations

from dataclasses import dataclass

from fedmf_ray.schemes.committee import keys, signed
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.signed import Answering
from fedmf_ray.schemes.council import Council, Signatures
from fedmf_ray.schemes.masked import heads
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

    def check_groups(self) -> None:
        """Raise ``ValueError`` for a group's key that not all of its members have signed, or that another
        has."""
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
        proof = message.proof
        if not isinstance(proof, Proof) or message.tag is None:
            raise ValueError("it has no proof")
        closed = heads.closed_digest(
            proof.before, message.round - 1, message.first, message.credited, proof.rest
        )
        tables = root(leaves_of(message.ciphertexts))
        head = signed.head_of(run, message.round, proof.before, closed, tables, message.tag.tobytes())
        if head != message.head:
            raise ValueError("its head does not follow from the one before")
        if unsigned and message.round == 0 and not proof.links:
            return None
        return self.who_answers(message)

    def who_answers(self, message: EncryptedItems) -> Answering:
        """As a quorum has signed it. Raises ``ValueError`` otherwise."""
        if not isinstance(message.proof, Proof) or len(message.proof.links) != 1:
            raise ValueError("a quorum of members has not signed its head")
        answering = Answering.from_bytes(message.proof.links[0], len(self.members))
        if not self.has_quorum(signed.answers_text(message.head, answering.lives), answering.signatures):
            raise ValueError("a quorum of members has not signed its head")
        return answering
