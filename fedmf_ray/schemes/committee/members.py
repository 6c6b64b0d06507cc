"""A member of the committee: it agrees on one set a head, opens that for its groups, and signs what
follows."""

from __future__ import annotations

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
from fedmf_ray.schemes.committee.listed import Listed, check, set_digest, uploads_of
from fedmf_ray.schemes.committee.merkle import leaves_of, root
from fedmf_ray.schemes.committee.parts import check_part, check_sheet, part_text, tables_of, words_of
from fedmf_ray.schemes.committee.rounds import UserRound, digest_of, row_nonces
from fedmf_ray.schemes.committee.signed import LIFE_BYTES
from fedmf_ray.schemes.committee.wire import (
    Certificate,
    Part,
    Sheet,
    committed,
    totals_digest,
    words_digest,
)
from fedmf_ray.schemes.council import AnotherSet, Member, Signatures, listed_digest, run_of
from fedmf_ray.schemes.masked import compiled, field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import Words
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
        self._latest: dict[int, tuple[int, bytes]] = {}  # by server: round and head, of the latest tables
        self._agreed: dict[int, tuple[bytes, bytes]] = {}  # by server: head, and the one set of that
        self._sent: dict[tuple[int, int], Part] = {}  # by server and group: what opens that set

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
        """Its signature of a closed set: of one set for each head, however often that is closed again.

        Raises :class:`AnotherSet` if it has agreed on another one, ``ValueError`` for what is no set."""
        digest = self._digest(closed, known)
        self._agree_on(closed, known, digest)
        return self._sign.sign(signed.set_text(digest))

    def _digest(self, closed: Closed, known: Known) -> bytes:
        check(closed, known, self._key.layout, len(self._key.groups))
        return set_digest(closed)

    def _agree_on(self, closed: Closed, known: Known, digest: bytes) -> None:
        first, agreed = closed.first, (closed.head, digest)
        if self._key.past_of(closed.head).lives[self.number] != self.life:
            raise AnotherSet(f"the head does not name the life of member {self.number}")
        reason = self._gone_on(first, closed.round, closed.head)
        if reason:
            raise AnotherSet(reason)
        before = self._agreed.get(first, agreed)
        if before[0] == closed.head and before != agreed:
            raise AnotherSet("the member has agreed on another set of this head")
        for upload in uploads_of(closed):
            self._check_list(upload, closed)
        self._latest[first] = known.round, closed.head
        self._agreed[first] = agreed
        if before != agreed:
            self._sent = {at: part for at, part in self._sent.items() if at[0] != first}

    def has_agreed(self, closed: Closed) -> bool:
        return self._agreed.get(closed.first) == (closed.head, set_digest(closed))

    def part(self, group: int, closed: Closed, known: Known, signatures: Signatures) -> Part:
        """What opens a set for one of its groups, once a quorum has agreed on that set.

        Raises :class:`AnotherSet` and ``ValueError``."""
        if group not in self._groups:
            raise ValueError(f"member {self.number} is not in group {group}")
        digest = self._digest(closed, known)
        if self._agreed.get(closed.first) != (closed.head, digest):
            self._agree_on(closed, known, digest)
        if not self._key.public.has_quorum(signed.set_text(digest), signatures):
            raise ValueError("a quorum has not agreed on this set")
        if (closed.first, group) not in self._sent:
            part = self._part_of(group, closed, list(uploads_of(closed)), known, digest)
            part = replace(part, signature=self._sign.sign(part_text(part)))
            self._sent[closed.first, group] = part
        return self._sent[closed.first, group]

    def _part_of(
        self, group: int, closed: Closed, uploads: Sequence[Listed], known: Known, digest: bytes
    ) -> Part:
        """What opens a set that it has agreed on. uploads: in that set."""
        layout, size = self._key.layout, len(closed.sums.start)
        words, number = np.zeros((size, layout.columns), layout.word), 0
        for upload in uploads:
            keyed = UserRound([self._key_with(group, upload.user_id)], closed.head)
            nonces = row_nonces(upload.nonce, upload.rows)
            masks = keyed.of_group(0, nonces, layout.columns, layout.word)
            if len(upload.rows) == size:
                words -= masks
            elif not compiled.take_off(words, upload.rows, masks):
                words[upload.rows] -= masks
            number -= keyed.group_pad(0, upload.nonce)
        nonces_now = None
        if group == 0:
            nonces_now, more = self._rebase(closed, known, words, digest)
            number += more
        packed = np.empty((size, layout.row_bytes), np.uint8)
        layout.pack(words, packed)
        said = field.to_bytes(number)
        return Part(closed.first, group, self.number, digest, words_digest(packed), said, nonces_now, packed)

    def _rebase(
        self, closed: Closed, known: Known, words: NDArray[np.uint32], digest: bytes
    ) -> tuple[Bytes, int]:
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
        nonces = key.table_nonces(digest, blocks)
        words += key.table_masks(nonces)
        return nonces, key.sum_pad(digest) - key.tables_pad(before)

    def certify(self, closed: Closed, sheet: Sheet, known: Known, lives: Sequence[bytes]) -> Certificate:
        """Its signature of the tables that follow from the set it agreed on. It computes them itself, from
        what the server had added up before anybody opened that, and from parts, of which it computes those of
        its own groups: of each group there is an honest member among those who sign. lives: of the members
        who answer for them.

        Raises ``ValueError`` for what does not add up."""
        key, layout, digest = self._key, self._key.layout, self._digest(closed, known)
        if self._agreed.get(closed.first) != (closed.head, digest):
            raise AnotherSet("the member has not agreed on this set")
        self._check_life(lives)
        words, number = self._added_up(closed, sheet, known, digest)
        blocks = np.arange(len(words)) + closed.first
        nonces = key.table_nonces(digest, blocks)
        tables = root(leaves_of(tables_of(layout, nonces, words)))
        integers = layout.signed(words - key.table_masks(nonces))
        none = np.array([], np.int64)
        if (number - key.sum_pad(digest) - key.weighed(blocks, integers, none)) % field.P:
            raise ValueError(
                "the sums do not add up: the server, or a user whose upload is in them, sent something else "
                "than it says"
            )
        tag = field.to_bytes(key.weighed(blocks, integers, known.fresh) + key.tables_pad(digest))
        head = signed.head_of(key.run, closed.round + 1, closed.head, digest, tables, tag.tobytes())
        return Certificate(self.number, tag, self._sign.sign(signed.answers_text(head, lives)))

    def _added_up(self, closed: Closed, sheet: Sheet, known: Known, digest: bytes) -> tuple[Words, int]:
        """The words and the number that the set opens to: the next tables, and the sum of tags."""
        layout, public = self._key.layout, self._key.public
        shape = len(closed.sums.start), layout.row_bytes
        check_sheet(sheet, public, shape)
        if totals_digest(sheet.totals, sheet.total) != committed(closed.sums, closed.tags):
            raise ValueError("the server's sums are not those that members have agreed on")
        words, number = layout.unpack(sheet.totals), field.to_int(sheet.total)
        uploads = list(uploads_of(closed))
        for group, part in enumerate(sheet.parts):
            if group in self._groups:
                sent = self._sent.get((closed.first, group))
                mine = sent or self._part_of(group, closed, uploads, known, digest)
                if part.digest != mine.digest or not np.array_equal(part.number, mine.number):
                    raise ValueError(f"the part of group {group} from member {part.member} does not open it")
            else:
                mine = part
                check_part(part, public, digest, shape)
            words += layout.unpack(words_of(mine))
            number += field.to_int(mine.number)
        return words, number

    def renew(self, message: EncryptedItems, lives: Sequence[bytes]) -> bytes:
        """Its signature of who answers for tables that it reads: the latest ones it knows of, and of the very
        first ones those that it was asked to sign first. Raises ``ValueError``."""
        key, first = self._key, message.first
        self._check_life(lives)
        key.read_all(message)
        reason = self._gone_on(first, message.round, message.head)
        if reason:
            raise ValueError(reason)
        self._latest[first] = message.round, message.head
        return self._sign.sign(signed.answers_text(message.head, lives))

    def acknowledge(self, message: EncryptedItems) -> None:
        self._key.acknowledge(message)

    def _check_life(self, lives: Sequence[bytes]) -> None:
        if len(lives) != len(self._key.public.members) or lives[self.number] != self.life:
            raise ValueError(f"what it should sign does not name the life of member {self.number}")

    def _gone_on(self, first: int, round_number: int, head: bytes) -> str:
        """Why it no longer signs for these tables of a server; empty if it does. It goes by what it has
        signed itself, which nobody can push out of its memory."""
        latest = self._latest.get(first, (round_number, head))
        if round_number < latest[0]:
            return f"round {round_number} is over: the member has gone on to round {latest[0]}"
        if round_number == latest[0] and head != latest[1]:
            return "the member has signed other tables of this round"
        return ""

    def _check_list(self, upload: Listed, closed: Closed) -> None:
        listed, said = digest_of(upload.rows), closed.tags.lists[upload.at]
        for group in self._groups:
            keyed = UserRound([self._key_with(group, upload.user_id)], closed.head)
            if keyed.group_list(0, upload.nonce, listed) != said[group].tobytes():
                raise ValueError("a user did not upload the rows that are listed as its own")

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


def open_together(key: CommitteeKeyHolder, closed: Closed, known: Known) -> Opening:
    """What the members of a run do one after the other, on their own and through the server."""
    from fedmf_ray.schemes.committee.server import assembled, certified, sheet_for

    members, public = key.members, key.public
    signatures = {one.number: one.agree(closed, known) for one in members}
    parts = [members[who[0]].part(group, closed, known, signatures) for group, who in enumerate(key.groups)]
    draft = assembled(key.shape, public, closed, parts)
    lives = tuple(one.life for one in members)
    sheets = [sheet_for(one.number, public, closed, parts) for one in members]
    words = [one.certify(closed, sheet, known, lives) for one, sheet in zip(members, sheets, strict=True)]
    return certified(key.run, public, draft, lives, words)
