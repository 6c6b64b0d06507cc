"""The servers' side of a committee: sums of masked rows, and what members send put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedmf_ray.schemes.committee import keys, signed
from fedmf_ray.schemes.committee.members import next_head, part_text
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.committee.signed import Link
from fedmf_ray.schemes.committee.wire import Certificate, CommitteeTags, Part
from fedmf_ray.schemes.council import CouncilEvaluator, Signatures
from fedmf_ray.schemes.masked import field, heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.server import MaskedEvaluator
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening, Proof
from fedmf_ray.schemes.sides import Shape, Tags, Wire


@dataclass(frozen=True)
class CommitteeEvaluator(MaskedEvaluator, CouncilEvaluator):
    """Adds words modulo 2^b, and knows the committee's public keys."""

    public: Public

    def tags(self, tag: Wire) -> Tags:
        return CommitteeTags(tag, len(self.public.groups))

    def lists_of(self, closed: Closed) -> Closed:
        return replace(closed, sums=replace(closed.sums, totals=closed.sums.totals[:0]))

    def assemble(self, closed: Closed, parts: Sequence[Part]) -> Opening:
        return assembled(self.shape, self.public, closed, parts)

    def certified(
        self, run: bytes, draft: Opening, lives: Sequence[bytes], words: Sequence[Certificate]
    ) -> Opening:
        return certified(run, self.public, draft, lives, words)

    def renewed(
        self, run: bytes, message: EncryptedItems, lives: Sequence[bytes], signatures: Signatures
    ) -> EncryptedItems:
        assert message.proof is not None
        head = signed.renewed_head(run, message.round, message.head, lives)
        links = (*message.proof.links, Link(tuple(lives), signatures).to_bytes())
        return replace(message, head=head, proof=replace(message.proof, links=links))


def assembled(shape: Shape, public: Public, closed: Closed, parts: Sequence[Part]) -> Opening:
    """The next tables from a closed set and a part of each group, before anybody has signed them.

    Raises ``ValueError`` that names the group whose part is missing or wrong."""
    rest = wires.rest_of(closed.sums, closed.tags)
    digest = heads.closed_digest(closed.head, closed.round, closed.first, closed.credited, rest)
    layout, by_group = BitLayout.of(shape), {part.group: part for part in parts}
    words, number = layout.unpack(closed.sums.totals), field.to_int(closed.tags.total)
    for group, who in enumerate(public.groups):
        part = by_group.get(group)
        if part is None:
            raise ValueError(f"nobody of group {group} has opened the set")
        if (
            part.closed != digest
            or part.member not in who
            or part.words.shape != closed.sums.totals.shape
            or not keys.is_signed(public.members[part.member], part.signature, part_text(part))
        ):
            raise ValueError(f"the part of group {group} is not of a member of it, or of another set")
        words += layout.unpack(part.words)
        number += field.to_int(part.number)
    nonces = by_group[0].nonces
    if nonces is None or nonces.shape != closed.sums.start[:, 1:].shape:
        raise ValueError("the part of group 0 does not name the next tables")
    tables = np.empty((len(words), 1, HEADER_BYTES + layout.row_bytes), np.uint8)
    tables[:, 0, 0], tables[:, 0, 1:HEADER_BYTES] = wires.TABLES, nonces
    layout.pack(words, tables[:, 0, HEADER_BYTES:])
    proof = Proof(closed.head, rest, np.empty((len(tables), 0), np.uint8))
    return Opening(closed.round, closed.first, tables, field.to_bytes(number), b"", digest, proof)


def certified(
    run: bytes, public: Public, draft: Opening, lives: Sequence[bytes], words: Sequence[Certificate]
) -> Opening:
    """The next tables with the signatures of a quorum. Raises ``ValueError`` without one."""
    assert draft.proof is not None
    for tag in {word.tag.tobytes(): word.tag for word in words}.values():
        head = next_head(run, draft, draft.proof.before, tag, lives)
        signatures = {word.member: word.signature for word in words if np.array_equal(word.tag, tag)}
        if public.has_quorum(signed.head_text(head), signatures):
            link = Link(tuple(lives), signatures)
            proof = replace(draft.proof, links=(link.to_bytes(),))
            return replace(draft, tags=tag, head=head, proof=proof)
    raise ValueError("no quorum of members has signed the next tables")
