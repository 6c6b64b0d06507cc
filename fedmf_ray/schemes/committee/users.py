"""The users' side: masks from keys that a user shares with groups of members, and reading what members
signed."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import keys, signed
from fedmf_ray.schemes.committee.keyring import KeyRing
from fedmf_ray.schemes.committee.keys import public_of, shared_key
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.committee.rounds import NobodysRound, UserRound, digest_of, row_nonces
from fedmf_ray.schemes.committee.signed import Answering
from fedmf_ray.schemes.committee.tables import TablesReader
from fedmf_ray.schemes.committee.wire import UPLOAD_NONCE_BYTES
from fedmf_ray.schemes.council import (
    NAMED_BYTES,
    Council,
    CouncilKeyHolder,
    Member,
    listed_digest,
    run_of,
)
from fedmf_ray.schemes.masked import field, heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.rounds import Round
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, derive, fresh_nonces, mac
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from fedmf_ray.schemes.messages import Closed, Opening, Proof
from fedmf_ray.schemes.sides import Integers, Known, Piece, Secrets, Shape, Wire

Bytes = NDArray[np.uint8]

NOBODY = -1
"""Whose keys protect rows outside of a round."""

_STREAMS = 16
"""Heads whose keys are kept."""


class CommitteeKeyHolder(TablesReader, CouncilKeyHolder):
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
        self.past = {}
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

    def appoint(self, number: int, user_id: int, run: bytes) -> bytes:
        text = keys.member_text(number, user_id, run, self.public.members[number])
        return self.keys.user_signs(user_id).sign(text)

    def check_committee(
        self, mine: Integers, user_ids: Integers, named: Bytes, beacon: bytes, appointed: Sequence[bytes]
    ) -> bytes:
        if named.shape != (len(user_ids), NAMED_BYTES):
            raise ValueError("the list of users: there are not two keys for each")
        self._check_own(mine, user_ids, named)
        self.public.check_groups(self._council)
        listed = listed_digest(user_ids, named)
        if beacon != self.beacon(listed):
            raise ValueError("the draw is not by the public randomness that followed the list of users")
        run = run_of(listed, beacon)
        seats = self._council.drawn(user_ids, beacon)
        self.public.check_members(run, user_ids[seats], named[seats], appointed)
        return run

    def _check_own(self, mine: Integers, user_ids: Integers, named: Bytes) -> None:
        """Whoever stands there with another key than its own would sit in the committee under somebody
        else's."""
        listed = dict(zip(user_ids.tolist(), named, strict=True))
        for user_id in mine.tolist():
            own = public_of(self.keys.user(user_id)) + public_of(self.keys.user_signs(user_id))
            if user_id not in listed or listed[user_id].tobytes() != own:
                raise ValueError(f"the list of users: user {user_id} is not there with its own keys")

    @property
    def committee_bytes(self) -> int:
        return self.public.nbytes

    def enrol(self, user_ids: Integers, entries: Bytes, run: bytes) -> None:
        # What was sent to members is what they will find: without second secrets, or with those of somebody
        # else, round 0 would be under a key that a quantum computer, or that somebody, has.
        keys.check_entries(user_ids, entries, self.keys.ciphertexts)
        self._check_own(user_ids, user_ids, entries[:, :NAMED_BYTES])
        if self.run not in (b"", run):
            raise ValueError("the users' keys belong to another run")
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
            while len(self._streams) >= _STREAMS:
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
        plain = integers.astype(layout.word)
        for one, number in zip(pieces, self._weights.numbers(blocks, integers, cuts), strict=True):
            mine, labels = slice(one.begin, one.end), blocks[one.begin : one.end] - one.first
            keyed = UserRound(self._agree(one.user_id), heads[one.first])
            nonce = self._upload_nonce(one.user_id, heads[one.first], labels, plain[mine])
            nonces = row_nonces(nonce, labels)
            out[mine, 0, 1:HEADER_BYTES] = nonces
            words[mine] = keyed.words(nonces, layout.columns, layout.word)
            tag = field.to_bytes(number + keyed.pad(nonce))
            unused = np.zeros(NONCE_BYTES - UPLOAD_NONCE_BYTES, np.uint8)
            tags.append(np.concatenate([nonce, unused, tag, keyed.lists(nonce, labels)]))
        for some in layout.chunks(len(integers)):
            layout.pack_sum(words[some], integers[some], out[some, 0, HEADER_BYTES:])
        return out, tags

    def _upload_nonce(self, user_id: int, head: bytes, labels: Integers, words: NDArray[Any]) -> Bytes:
        """(8,) It follows from what is uploaded, under a key of the user's own: what is sent again after a
        failure is the same bytes, and anything else is under other masks."""
        said = hashlib.sha256(np.ascontiguousarray(words).data).digest()
        text = mac(self.keys.user_nonces(user_id), head, digest_of(labels), said)
        return np.frombuffer(text, np.uint8)[:UPLOAD_NONCE_BYTES]

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
        head = signed.head_of(self.run, 0, before, closed, root(leaves_of(wire)), tag.tobytes())
        begun = Opening(-1, first, wire, tag, head, closed, proof)
        if not self.alone:
            return begun
        lives = tuple(one.life for one in self.members)
        text = signed.answers_text(head, lives)
        answering = Answering(lives, {at: self.keys.member(at).sign(text) for at in range(self._count)})
        return replace(begun, proof=replace(proof, links=(answering.to_bytes(),)))

    def _open(self, closed: Closed, known: Known | None) -> Opening:
        """All members in one process, one after the other, do what in a run each does on its own."""
        if known is None:
            return super()._open(closed, None)
        from fedmf_ray.schemes.committee.members import open_together

        return open_together(self, closed, known)
