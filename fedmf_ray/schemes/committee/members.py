"""A member of the committee: it agrees on one set a head, opens that for its groups, and signs what
follows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import signed
from fedmf_ray.schemes.committee.keys import (
    PUBLIC_BYTES,
    check_entries,
    ciphertexts_of,
    public_of,
    shared_key,
)
from fedmf_ray.schemes.committee.listed import Listed, check, uploads_of
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.rounds import UserRound, digest_of, row_nonces
from fedmf_ray.schemes.committee.signed import LIFE_BYTES
from fedmf_ray.schemes.committee.wire import Certificate, Part
from fedmf_ray.schemes.council import AnotherSet, Member, Signatures, listed_digest, run_of
from fedmf_ray.schemes.masked import field, heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.streams import joined
from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening
from fedmf_ray.schemes.sides import Integers, Known

if TYPE_CHECKING:
    from fedmf_ray.schemes.committee.users import CommitteeKeyHolder

Bytes = NDArray[np.uint8]


class CommitteeMember(Member):
    """Its life is never kept: a member that is started again, or restored from a copy, answers for no head
    that names an earlier life."""

    def __init__(self, key: CommitteeKeyHolder, number: int) -> None:
        self._key, self.number = key, number
        self.life = os.urandom(LIFE_BYTES)
        self._sign = key.keys.member(number)
        self._groups = [at for at, who in enumerate(key.groups) if number in who]
        self._publics: dict[int, bytes] = {}
        self._shared: dict[tuple[int, int], bytes] = {}
        self._latest: dict[int, tuple[int, bytes]] = {}  # by server: round and head
        self._agreed: dict[int, tuple[bytes, bytes]] = {}  # by server: head, and the set agreed on
        self._listed: dict[int, tuple[int, bytes]] = {}  # by server: round, and who uploaded which rows in it

    def take_seat(self, user_ids: Integers, entries: Bytes, beacon: bytes) -> None:
        """Check what users have published, and agree on keys with all of them for each of its groups.

        Raises ``ValueError`` for what they cannot have published, and for another list than the one that
        names the run: whoever was shown another one signs no head that these users accept."""
        check_entries(user_ids, entries, self._key.keys.ciphertexts)
        if run_of(listed_digest(user_ids, entries), beacon) != self._key.run:
            raise ValueError("the list of keys is not the one that names the run")
        self._publics = {
            one: entry[:PUBLIC_BYTES].tobytes() for one, entry in zip(user_ids.tolist(), entries, strict=True)
        }
        for user_id, entry in zip(user_ids.tolist(), entries, strict=True):
            ciphertexts = ciphertexts_of(entry)
            for group in self._groups:
                self._shared[group, user_id] = self._agree(group, user_id, ciphertexts)

    def agree(self, closed: Closed, known: Known) -> bytes:
        """Its signature of a closed set: of one set for each head. A round that is done anew must bring the
        same rows of the same users: from two sets that differ by a user follows what that user sent.

        Raises :class:`AnotherSet` if it has agreed on another one, ``ValueError`` for what is no set."""
        check(closed, known)
        digest = set_digest(closed)
        if self._agreed.get(closed.first) != (closed.head, digest):
            self._accept(closed.first, closed.head)
            if closed.first in self._agreed:
                raise AnotherSet("the member has agreed on another set of this head")
        whole = hashlib.sha256()
        for upload in uploads_of(closed):
            self._check_list(upload, closed)
            whole.update(joined(upload.user_id, digest_of(upload.rows)))
        listed = closed.round, whole.digest()
        before = self._listed.get(closed.first, listed)
        if before[0] == closed.round and before != listed:
            raise ValueError("other users, or other rows, than in a set of this round that was opened before")
        self._agreed[closed.first] = closed.head, digest
        self._listed[closed.first] = listed
        return self._sign.sign(signed.set_text(digest))

    def has_agreed(self, closed: Closed) -> bool:
        return self._agreed.get(closed.first) == (closed.head, set_digest(closed))

    def part(self, group: int, closed: Closed, known: Known, signatures: Signatures) -> Part:
        """What opens a set for one of its groups, once a quorum has agreed on that set.

        Raises :class:`AnotherSet` and ``ValueError``."""
        if group not in self._groups:
            raise ValueError(f"member {self.number} is not in group {group}")
        digest, key = set_digest(closed), self._key
        if not self.has_agreed(closed):
            self.agree(closed, known)
        if not key.public.has_quorum(signed.set_text(digest), signatures):
            raise ValueError("a quorum has not agreed on this set")
        layout, size = key.layout, len(closed.sums.start)
        words, number = np.zeros((size, layout.columns), layout.word), 0
        for upload in uploads_of(closed):
            keyed = self._keyed(upload.user_id, closed.head)
            nonces = row_nonces(upload.nonce, upload.rows)
            masks = keyed[group].of_group(0, nonces, layout.columns, layout.word)
            if len(upload.rows) == size:
                words -= masks
            else:
                words[upload.rows] -= masks
            number -= keyed[group].group_pad(0, upload.nonce)
        nonces_now = None
        if group == 0:
            nonces_now, more = self._rebase(closed, known, words)
            number += more
        packed = np.empty((size, layout.row_bytes), np.uint8)
        layout.pack(words, packed)
        part = Part(closed.first, group, self.number, digest, packed, field.to_bytes(number), nonces_now)
        return replace(part, signature=self._sign.sign(part_text(part)))

    def _rebase(self, closed: Closed, known: Known, words: NDArray[np.uint32]) -> tuple[Bytes, int]:
        """Group 0 also puts the mask of the next tables on, and takes that of the tables before off."""
        key, start = self._key, closed.sums.start
        blocks = np.arange(len(start)) + closed.first
        again, before = np.isin(blocks, known.fresh), key.past_of(closed.head).closed
        old = key.table_nonces(before, blocks)
        if (
            start[again].any()
            or (start[~again, 0] != wires.TABLES).any()
            or not np.array_equal(start[~again, 1:], old[~again])
        ):
            raise ValueError("its sums did not begin with the tables that were read")
        words[~again] -= key.table_masks(old[~again])
        digest = set_digest(closed)
        nonces = key.table_nonces(digest, blocks)
        words += key.table_masks(nonces)
        return nonces, key.sum_pad(digest) - key.tables_pad(before)

    def certify(self, draft: Opening, known: Known, lives: Sequence[bytes]) -> Certificate:
        """Its signature of the tables that follow from the set it agreed on, if they are its sum. lives:
        those that the next head names.

        Raises ``ValueError`` for what does not add up."""
        key, first, head = self._key, draft.first, known.heads[draft.first]
        if self._agreed.get(first) != (head, draft.closed):
            raise AnotherSet("the member has not agreed on this set")
        self._check_life(lives)
        blocks = np.arange(len(draft.sums)) + first
        integers = key.unmasked(draft.sums, draft.closed, first, np.arange(len(blocks)))
        none = np.array([], np.int64)
        said = field.to_int(draft.tags) - key.sum_pad(draft.closed)
        if (said - key.weighed(blocks, integers, none)) % field.P:
            raise ValueError(
                "the sums do not add up: the server, or a user whose upload is in them, sent something else "
                "than it says"
            )
        tag = field.to_bytes(key.weighed(blocks, integers, known.fresh) + key.tables_pad(draft.closed))
        following = next_head(key.run, draft, head, tag, lives)
        self._latest[first] = known.round + 1, following
        return Certificate(self.number, tag, self._sign.sign(signed.head_text(following)))

    def renew(self, message: EncryptedItems, lives: Sequence[bytes]) -> bytes:
        """Its signature of another head for tables that it reads: for members with these lives. It answers
        for the old head no more."""
        key, first = self._key, message.first
        self._check_life(lives)
        if message.round == 0 and len(message.proof.links if message.proof else ()) == 1:
            key.read_unsigned(message)
        else:
            key.read(message, np.arange(len(message.ciphertexts)))
        past = key.past[message.head]
        if max(one.round for one in key.past.values()) > message.round:
            raise ValueError(f"round {message.round} is over: later tables have been read")
        head = signed.renewed_head(key.run, message.round, past.chain[-1], lives)
        self._latest[first] = message.round, head
        self._agreed.pop(first, None)
        return self._sign.sign(signed.head_text(head))

    def _check_life(self, lives: Sequence[bytes]) -> None:
        if len(lives) != len(self._key.public.members) or lives[self.number] != self.life:
            raise ValueError(f"the next head does not name the life of member {self.number}")

    def _accept(self, first: int, head: bytes) -> None:
        """Whether it may answer for a head: one that names its life, and is its latest one or follows from
        that."""
        past = self._key.past_of(head)
        if past.lives[self.number] != self.life:
            raise AnotherSet(f"the head does not name the life of member {self.number}")
        latest = self._latest.get(first)
        if latest is not None and latest[1] != head:
            if past.round < latest[0] or (past.round == latest[0] and latest[1] not in past.chain):
                raise AnotherSet("the member has gone on to another head")
            self._agreed.pop(first, None)
        if self._agreed.get(first, (head, b""))[0] != head:
            self._agreed.pop(first)
        self._latest[first] = past.round, head

    def _check_list(self, upload: Listed, closed: Closed) -> None:
        listed, said = digest_of(upload.rows), closed.tags.lists[upload.at]
        keyed = self._keyed(upload.user_id, closed.head)
        for group in self._groups:
            if keyed[group].group_list(0, upload.nonce, listed) != said[group].tobytes():
                raise ValueError("a user did not upload the rows that are listed as its own")

    def _keyed(self, user_id: int, head: bytes) -> dict[int, UserRound]:
        return {group: UserRound([self._key_with(group, user_id)], head) for group in self._groups}

    def _key_with(self, group: int, user_id: int) -> bytes:
        """What a group shares with a user, from the group's side."""
        if (group, user_id) not in self._shared:
            key = self._key
            if key.alone and user_id not in self._publics:
                self._publics[user_id] = public_of(key.keys.user(user_id))
            if user_id not in self._publics:
                raise ValueError(f"user {user_id} is not on the list of users")
            self._shared[group, user_id] = self._agree(group, user_id, ())
        return self._shared[group, user_id]

    def _agree(self, group: int, user_id: int, ciphertexts: Sequence[bytes]) -> bytes:
        ring, theirs = self._key.keys, self._publics[user_id]
        public, second = ring.public.group_keys[group], ring.second(group, ciphertexts)
        return shared_key(ring.group(group), theirs, user_id, theirs, group, public, second)


def set_digest(closed: Closed) -> bytes:
    rest = wires.rest_of(closed.sums, closed.tags)
    return heads.closed_digest(closed.head, closed.round, closed.first, closed.credited, rest)


def part_text(part: Part) -> bytes:
    """What a member signs of its part."""
    whole = hashlib.sha256(part.words.data)
    whole.update(part.number.data)
    if part.nonces is not None:
        whole.update(np.ascontiguousarray(part.nonces).data)
    return joined(b"fedmf-ray committee: a part", part.first, part.group, part.closed, whole.digest())


def next_head(run: bytes, draft: Opening, before: bytes, tag: Bytes, lives: Sequence[bytes]) -> bytes:
    """Of the tables of a draft."""
    tables = root(leaves_of(draft.sums))
    return signed.first_head(run, draft.round + 1, before, draft.closed, tables, tag.tobytes(), lives)


def open_together(key: CommitteeKeyHolder, closed: Closed, known: Known) -> Opening:
    """What the members of a run do one after the other, on their own and through the server."""
    from fedmf_ray.schemes.committee.server import assembled, certified

    members = key.members
    signatures = {one.number: one.agree(closed, known) for one in members}
    parts = [members[who[0]].part(group, closed, known, signatures) for group, who in enumerate(key.groups)]
    draft = assembled(key.shape, key.public, closed, parts)
    lives = tuple(one.life for one in members)
    words = [one.certify(draft, known, lives) for one in members]
    return certified(key.run, key.public, draft, lives, words)
