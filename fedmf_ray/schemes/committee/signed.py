"""Heads that a quorum of members has signed, and the lives that they name.

    head   = H(run, round, before, closed, root, tag, lives)     of the tables that follow a closed set
    head'  = H(run, round, head, lives')                         the same tables, for members of other lives

A member that is started again has a new life, and answers for no head that names the old one: what it did
before, it cannot remember. Tables of which too many lives are over get another head, signed anew; users
upload again under that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedmf_ray.schemes.masked.heads import digest

LIFE_BYTES, SIGNATURE_BYTES = 16, 64


@dataclass(frozen=True)
class Link:
    """lives: of all members, by number. signatures: of those who signed."""

    lives: tuple[bytes, ...]
    signatures: Mapping[int, bytes]

    def to_bytes(self) -> bytes:
        none = bytes(SIGNATURE_BYTES)
        signed = (self.signatures.get(at, none) for at in range(len(self.lives)))
        return b"".join((*self.lives, *signed))

    @classmethod
    def from_bytes(cls, text: bytes, members: int) -> Link:
        """Raises ``ValueError`` for another length."""
        if len(text) != members * (LIFE_BYTES + SIGNATURE_BYTES):
            raise ValueError("a signed head is not of the agreed length")
        lives = _cut(text[: members * LIFE_BYTES], LIFE_BYTES)
        signed = _cut(text[members * LIFE_BYTES :], SIGNATURE_BYTES)
        there = {at: one for at, one in enumerate(signed) if any(one)}
        return cls(tuple(lives), there)


def link_bytes(members: int) -> int:
    return members * (LIFE_BYTES + SIGNATURE_BYTES)


def _cut(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def first_head(
    run: bytes, number: int, before: bytes, closed: bytes, root: bytes, tag: bytes, lives: Sequence[bytes]
) -> bytes:
    """Of new tables. number: of the round that they open."""
    return digest(b"committee head", run, number, before, closed, root, tag, *lives)


def renewed_head(run: bytes, number: int, before: bytes, lives: Sequence[bytes]) -> bytes:
    """Of tables whose head was ``before``, for other lives."""
    return digest(b"committee head, renewed", run, number, before, *lives)


def chained(run: bytes, number: int, first: bytes, later: Iterable[Sequence[bytes]]) -> list[bytes]:
    """The heads of tables, one after the other. later: the lives of each but the first."""
    heads = [first]
    for lives in later:
        heads.append(renewed_head(run, number, heads[-1], lives))
    return heads


def set_text(closed: bytes) -> bytes:
    """What members sign who agree on a closed set."""
    return digest(b"committee set", closed)


def head_text(head: bytes) -> bytes:
    """What members sign of a head."""
    return digest(b"committee signs head", head)
