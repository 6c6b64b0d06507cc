"""The users' side: masks from keys that a user shares with groups of members, and reading what members
signed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import keys, signed
from fedmf_ray.schemes.committee.keyring import KeyRing
from fedmf_ray.schemes.committee.keys import public_of, shared_key
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.committee.rounds import NobodysRound, UserRound, row_nonces
from fedmf_ray.schemes.committee.signed import Link
from fedmf_ray.schemes.committee.wire import UPLOAD_NONCE_BYTES
from fedmf_ray.schemes.council import Council, CouncilKeyHolder, Member
from fedmf_ray.schemes.masked import field, heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.rounds import Round
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, Stream, derive, fresh_nonces
from fedmf_ray.schemes.masked.users import MaskedKeyHolder
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening, Proof
from fedmf_ray.schemes.sides import Integers, Known, Piece, Secrets, Shape, Wire

if TYPE_CHECKING:
    pass

Bytes = NDArray[np.uint8]

NOBODY = -1
"""Whose keys protect rows outside of a round."""

_KEPT = 16
"""Heads of which it is remembered what they follow from."""


@dataclass(frozen=True)
class Past:
    """What somebody knows of tables that it has read. round: that they open. closed: the digest of the set
    that they follow from. chain: their heads. lives: which the last one names."""

    round: int
    closed: bytes
    chain: tuple[bytes, ...]
    lives: tuple[bytes, ...]


class CommitteeKeyHolder(MaskedKeyHolder, CouncilKeyHolder):
    """All users can read tables, as under masks; what one uploads, only all groups of members together can
    open.

    secret: from which all keys of the simulation follow (see :mod:`.keys`). run: digest of the list of users.
    """

    def __init__(
        self,
        secret: bytes,
        shape: Shape,
        council: Council,
        hybrid: bool = False,
        run: bytes = b"",
        head: bytes = b"",
    ) -> None:
        super().__init__(derive(secret, "committee: common to all users"), shape, head)
        self.keys, self._council, self._hybrid = KeyRing(secret, council, hybrid), council, hybrid
        self._count, self.run = council.members, run
        self._agreed: dict[int, list[bytes]] = {}
        self._streams: dict[bytes, Round] = {}
        self.past: dict[bytes, Past] = {}
        self._members: list[Member] = []
        self.alone = True
        """Whether all members are in this process: they sign the first tables at once."""

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = self.keys.secret, self.shape, self._council, self._hybrid, self.run, self._head
        return type(self), arguments

    def secrets(self) -> Secrets:
        return {"secret": np.frombuffer(self.keys.secret, np.uint8)}

    def at(self, head: bytes) -> CommitteeKeyHolder:
        other = copy.copy(self)
        other._head = head
        return other

    @property
    def public(self) -> Public:
        return self.keys.public

    @property
    def groups(self) -> list[tuple[int, ...]]:
        return self.keys.groups

    @property
    def members(self) -> Sequence[Member]:
        """Those of this process: each begins a life when it is first asked for."""
        from fedmf_ray.schemes.committee.members import CommitteeMember

        if not self._members:
            self._members += [CommitteeMember(self, number) for number in range(self._count)]
        return self._members

    def introduce(self, user_ids: Integers) -> Bytes:
        entries = [
            keys.entry_of(one, self.keys.user(one), self.keys.user_signs(one), self.keys.sent_to_groups())
            for one in user_ids.tolist()
        ]
        each = keys.entry_bytes(self.keys.ciphertexts)
        return np.frombuffer(b"".join(entries), np.uint8).reshape(-1, each)

    def beacon(self, listed: bytes) -> bytes:
        return self.keys.beacon(listed)

    def check_committee(self) -> None:
        self.public.check_groups()

    def enrol(self, user_ids: Integers, entries: Bytes, run: bytes) -> None:
        self.run, self.alone = run, False
        for user_id, entry in zip(user_ids.tolist(), entries, strict=True):
            self._agreed.pop(user_id, None)
            self._agree(user_id, keys.ciphertexts_of(entry))

    def overhear(self, user_ids: Integers, entries: Bytes) -> None:
        for user_id, entry in zip(user_ids.tolist(), entries, strict=True):
            self._agree(user_id, keys.ciphertexts_of(entry))

    def _agree(self, user_id: int, ciphertexts: Sequence[bytes] = ()) -> list[bytes]:
        if user_id not in self._agreed:
            mine = self.keys.user(user_id)
            own, publics = public_of(mine), self.public.group_keys
            self._agreed[user_id] = [
                shared_key(
                    mine,
                    public[: keys.PUBLIC_BYTES],
                    user_id,
                    own,
                    group,
                    public,
                    self.keys.second(group, ciphertexts),
                )
                for group, public in enumerate(publics)
            ]
        return self._agreed[user_id]

    def _round(self, head: bytes) -> Round:
        if head not in self._streams:
            while len(self._streams) >= _KEPT:
                del self._streams[next(iter(self._streams))]
            self._streams[head] = NobodysRound(self._secret, head, self._agree(NOBODY))
        return self._streams[head]

    def protect(
        self,
        round_number: int,
        integers: Integers,
        blocks: Integers,
        pieces: Sequence[Piece],
        heads: Mapping[int, bytes],
        full_text: bool,
    ) -> tuple[Wire, list[Wire]]:
        layout = self.layout
        out = np.empty((len(integers), 1, HEADER_BYTES + layout.row_bytes), np.uint8)
        out[:, 0, 0] = wires.UPLOADED
        words = np.empty((len(integers), layout.columns), layout.word)
        cuts = [(one.begin, one.end) for one in pieces]
        tags: list[Wire] = []
        for one, number in zip(pieces, self._weights.numbers(blocks, integers, cuts), strict=True):
            mine, labels = slice(one.begin, one.end), blocks[one.begin : one.end] - one.first
            keyed = UserRound(self._agree(one.user_id), heads[one.first])
            nonce = fresh_nonces(1)[0, :UPLOAD_NONCE_BYTES]
            nonces = row_nonces(nonce, labels)
            out[mine, 0, 1:HEADER_BYTES] = nonces
            words[mine] = keyed.words(nonces, layout.columns, layout.word)
            tag = field.to_bytes(number + keyed.pad(nonce))
            unused = np.zeros(NONCE_BYTES - UPLOAD_NONCE_BYTES, np.uint8)
            tags.append(np.concatenate([nonce, unused, tag, keyed.lists(nonce, labels)]))
        for some in layout.chunks(len(integers)):
            words[some] += integers[some].astype(layout.word)
            layout.pack(words[some], out[some, 0, HEADER_BYTES:])
        return out, tags

    def read_as(self, members: Sequence[int], user_id: int, wire: Wire, head: bytes) -> Integers:
        """What a coalition of these members, and of anybody else but the user, makes of rows that it
        uploaded: the masks of their groups are off, those of other groups are on."""
        layout, keyed = self.layout, UserRound(self._agree(user_id), head)
        words = layout.unpack(wire[:, 0, HEADER_BYTES:])
        for group, who in enumerate(self.groups):
            if set(who) & set(members):
                words -= keyed.of_group(group, wire[:, 0, 1:HEADER_BYTES], layout.columns, layout.word)
        return layout.signed(words)

    def begin(self, first: int, integers: Integers, fresh: Integers) -> Opening:
        """The first tables, which nobody has signed yet unless all members are here."""
        (before,), rest = self.first_heads([first]), fresh_nonces(3).tobytes()[: heads.HEAD_BYTES]
        closed = heads.closed_digest(before, -1, first, np.array([], np.int64), rest)
        blocks = np.arange(len(integers)) + first
        wire = self._masked(wires.TABLES, self._tables, self.table_nonces(closed, blocks), integers)
        tag = field.to_bytes(self.weighed(blocks, integers, fresh) + self.tables_pad(closed))
        proof = Proof(before, rest, np.empty((len(wire), 0), np.uint8))
        lives = (bytes(signed.LIFE_BYTES),) * self._count
        head = signed.first_head(self.run, 0, before, closed, root(leaves_of(wire)), tag.tobytes(), lives)
        begun = Opening(
            -1, first, wire, tag, head, closed, replace(proof, links=(Link(lives, {}).to_bytes(),))
        )
        if not self.alone:
            return begun
        lives = tuple(one.life for one in self.members)
        head = signed.renewed_head(self.run, 0, begun.head, lives)
        word = {at: self.keys.member(at).sign(signed.head_text(head)) for at in range(self._count)}
        return with_link(begun, head, Link(lives, word))

    def _open(self, closed: Closed, known: Known | None) -> Opening:
        """All members in one process, one after the other, do what in a run each does on its own."""
        if known is None:
            return super()._open(closed, None)
        from fedmf_ray.schemes.committee.members import open_together

        return open_together(self, closed, known)

    def weighed(self, blocks: Integers, integers: Integers, without: Integers) -> int:
        """The weighted sum modulo p of rows, but for some blocks."""
        kept = ~np.isin(blocks, without)
        (number,) = self._weights.numbers(blocks[kept], integers[kept], [(0, int(kept.sum()))])
        return number

    def table_nonces(self, closed: bytes, blocks: Integers) -> Bytes:
        """(k, 12) under which the tables are published that follow from a closed set: the same set gives the
        same bytes, another set others."""
        stream = Stream(derive(self._secret, "committee: nonces of tables", closed))
        return stream.numbers(blocks)[:, :NONCE_BYTES]

    def table_masks(self, nonces: Bytes) -> NDArray[Any]:
        return self._tables.words(nonces, self.layout.columns, self.layout.word)

    def tables_pad(self, closed: bytes) -> int:
        """Of the tag of what tables keep."""
        return int.from_bytes(derive(self._secret, "committee: pad of tables", closed), "little")

    def sum_pad(self, closed: bytes) -> int:
        """Of the sum of tags as it is opened: of all rows, also of those that start from zero again."""
        return int.from_bytes(derive(self._secret, "committee: pad of a sum", closed), "little")

    def unmasked(self, wire: Wire, closed: bytes, first: int, rows: Integers) -> Integers:
        """(k, columns) of some rows of tables. Raises ``ValueError`` for one that is of other tables."""
        integers = np.empty((len(rows), self.layout.columns), np.int64)
        nonces = self.table_nonces(closed, rows + first)
        for some in self.layout.chunks(len(rows)):
            header = wire[rows[some], 0, :HEADER_BYTES]
            if (header[:, 0] != wires.TABLES).any() or not np.array_equal(header[:, 1:], nonces[some]):
                raise ValueError("a row is of other tables, or another row of these")
            words = self.layout.unpack(wire[rows[some], 0, HEADER_BYTES:])
            words -= self.table_masks(nonces[some])
            integers[some] = self.layout.signed(words)
        return integers

    def read(self, message: EncryptedItems, rows: Integers) -> Integers:
        """Raises ``ValueError`` unless the head follows from the one before, and a quorum has signed it."""
        return self._read(message, rows, unsigned=False)

    def read_unsigned(self, message: EncryptedItems) -> Integers:
        """The first tables before members have signed them. Raises ``ValueError`` unless users made them."""
        return self._read(message, np.arange(len(message.ciphertexts)), unsigned=True)

    def _read(self, message: EncryptedItems, rows: Integers, unsigned: bool) -> Integers:
        chain, links = self.public.chain_of(self.run, message, unsigned)
        assert message.proof is not None
        closed = heads.closed_digest(
            message.proof.before, message.round - 1, message.first, message.credited, message.proof.rest
        )
        integers = self.unmasked(message.ciphertexts, closed, message.first, rows)
        self.remember(Past(message.round, closed, tuple(chain), links[-1].lives))
        return integers

    def remember(self, past: Past) -> None:
        while len(self.past) >= _KEPT:
            del self.past[next(iter(self.past))]
        self.past[past.chain[-1]] = past

    def past_of(self, head: bytes) -> Past:
        """Raises ``ValueError`` for tables that have not been read here."""
        if head not in self.past:
            raise ValueError("it closed another state than the one that was read")
        return self.past[head]

    def heads_of(self, message: EncryptedItems) -> tuple[bytes, ...]:
        assert message.proof is not None
        return message.proof.before, *self.past_of(message.head).chain


def with_link(begun: Opening, head: bytes, link: Link) -> Opening:
    assert begun.proof is not None
    proof = replace(begun.proof, links=(*begun.proof.links, link.to_bytes()))
    return replace(begun, head=head, proof=proof)
