"""The servers' side of a committee: sums of masked rows, and what members send put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import signed
from fedmf_ray.schemes.committee.listed import set_digest
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.parts import check_part, tables_of, words_of
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.committee.signed import Answering
from fedmf_ray.schemes.committee.wire import (
    Certificate,
    Committed,
    CommitteeTags,
    Part,
    Sheet,
    committed,
    rest_of,
)
from fedmf_ray.schemes.council import CouncilEvaluator, Signatures
from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.server import MaskedEvaluator
from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening, Proof
from fedmf_ray.schemes.sides import Shape, Wire
from fedmf_ray.schemes.sums import Tags

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class CommitteeEvaluator(MaskedEvaluator, CouncilEvaluator):
    """Adds words modulo 2^b, and knows the committee's public keys."""

    public: Public

    def tags(self, tag: Wire) -> Tags:
        return CommitteeTags(tag, len(self.public.groups))

    def digest(self, closed: Closed) -> bytes:
        return set_digest(closed)

    def lists_of(self, closed: Closed) -> Closed:
        sums, digest = closed.sums, committed(closed.sums, closed.tags)
        less = Committed(sums.start, sums.totals[:0], sums.counts, sums.nonces, sums.whole, digest)
        return replace(closed, sums=less)

    def assemble(self, closed: Closed, parts: Sequence[Part]) -> Opening:
        return assembled(self.shape, self.public, closed, parts)

    def sheets(self, closed: Closed, parts: Sequence[Part], members: Sequence[int]) -> list[Sheet]:
        return [sheet_for(member, self.public, closed, parts) for member in members]

    def certified(
        self, run: bytes, draft: Opening, lives: Sequence[bytes], words: Sequence[Certificate]
    ) -> Opening:
        return certified(run, self.public, draft, lives, words)

    def renewed(
        self, message: EncryptedItems, lives: Sequence[bytes], signatures: Signatures
    ) -> EncryptedItems:
        assert message.proof is not None
        links = (Answering(tuple(lives), signatures).to_bytes(),)
        return replace(message, proof=replace(message.proof, links=links))


def sheet_for(member: int, public: Public, closed: Closed, parts: Sequence[Part]) -> Sheet:
    """What a member needs to certify. parts: of all groups."""
    shown = tuple(
        part.without_words() if member in public.groups[part.group] else part
        for part in sorted(parts, key=lambda one: one.group)
    )
    return Sheet(closed.round, closed.first, closed.sums.totals, closed.tags.total, shown)


def assembled(shape: Shape, public: Public, closed: Closed, parts: Sequence[Part]) -> Opening:
    """The next tables from a closed set and a part of each group, before anybody has signed them.

    Raises ``ValueError`` that names the group whose part is missing or wrong."""
    rest, digest = rest_of(closed.sums, closed.tags), set_digest(closed)
    layout, by_group = BitLayout.of(shape), {part.group: part for part in parts}
    words, number = layout.unpack(closed.sums.totals), field.to_int(closed.tags.total)
    for group in range(len(public.groups)):
        part = by_group.get(group)
        if part is None:
            raise ValueError(f"nobody of group {group} has opened the set")
        check_part(part, public, digest, closed.sums.totals.shape)
        words += layout.unpack(words_of(part))
        number += field.to_int(part.number)
    nonces = by_group[0].nonces
    if nonces is None or nonces.shape != closed.sums.start[:, 1:].shape:
        raise ValueError("the part of group 0 does not name the next tables")
    tables = tables_of(layout, nonces, words)
    proof = Proof(closed.head, rest, np.empty((len(tables), 0), np.uint8))
    return Opening(closed.round, closed.first, tables, field.to_bytes(number), b"", digest, proof)


def certified(
    run: bytes, public: Public, draft: Opening, lives: Sequence[bytes], words: Sequence[Certificate]
) -> Opening:
    """The next tables with the signatures of a quorum. Raises ``ValueError`` without one."""
    assert draft.proof is not None
    for tag in {word.tag.tobytes(): word.tag for word in words}.values():
        head = next_head(run, draft, tag)
        signatures = {word.member: word.signature for word in words if np.array_equal(word.tag, tag)}
        if public.has_quorum(signed.answers_text(head, lives), signatures):
            links = (Answering(tuple(lives), signatures).to_bytes(),)
            return replace(draft, tags=tag, head=head, proof=replace(draft.proof, links=links))
    raise ValueError("no quorum of members has signed the next tables")


def next_head(run: bytes, draft: Opening, tag: Bytes) -> bytes:
    """Of the tables of a draft."""
    assert draft.proof is not None
    tables = root(leaves_of(draft.sums))
    return signed.head_of(run, draft.round + 1, draft.proof.before, draft.closed, tables, tag.tobytes())
