"""What a quorum of members signs.

    head    = H(run, round, before, closed, root, tag)    names tables; nobody chooses anything in it
    set     = H(closed)                                    they open this set, and no other of its head
    answers = H(head, lives)                               who answers for these tables

A member that is started again has a new life, and answers for no tables whose signed list names the old one:
what it did before, it cannot remember. If too many lives are over, members sign another list for the same
tables. The head stays what it was, so uploads stay what they were, and so does the one set of that head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedmf_ray.schemes.masked.heads import digest

LIFE_BYTES, SIGNATURE_BYTES = 16, 64


@dataclass(frozen=True)
class Answering:
    """lives: of all members, by number. signatures: of those who signed."""

    lives: tuple[bytes, ...]
    signatures: Mapping[int, bytes]

    def to_bytes(self) -> bytes:
        none = bytes(SIGNATURE_BYTES)
        signed = (self.signatures.get(at, none) for at in range(len(self.lives)))
        return b"".join((*self.lives, *signed))

    @classmethod
    def from_bytes(cls, text: bytes, members: int) -> Answering:
        """Raises ``ValueError`` for another length."""
        if len(text) != answering_bytes(members):
            raise ValueError("its signatures are not of the agreed length")
        lives = _cut(text[: members * LIFE_BYTES], LIFE_BYTES)
        signed = _cut(text[members * LIFE_BYTES :], SIGNATURE_BYTES)
        there = {at: one for at, one in enumerate(signed) if any(one)}
        return cls(tuple(lives), there)


def answering_bytes(members: int) -> int:
    return members * (LIFE_BYTES + SIGNATURE_BYTES)


def _cut(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def head_of(run: bytes, number: int, before: bytes, closed: bytes, root: bytes, tag: bytes) -> bytes:
    """Of tables. number: of the round that they open. before: the head of the tables before. closed: a digest
    of the set that they follow from."""
    return digest(b"committee head", run, number, before, closed, root, tag)


def set_text(closed: bytes) -> bytes:
    """What members sign who agree on a closed set."""
    return digest(b"committee set", closed)


def answers_text(head: bytes, lives: Sequence[bytes]) -> bytes:
    """What members sign of tables, and of who answers for them."""
    return digest(b"committee answers", head, *lives)
