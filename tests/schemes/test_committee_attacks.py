"""Attacks on ``committee``, played: of a server, of members with it, of users, at set-up and on heads."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError, read_share
from fedmf_ray.schemes import AnotherSet, Committee
from fedmf_ray.schemes.committee.members import CommitteeMember
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.broken_committees import Forgetful
from tests.support.masked import agreed, changed, federation_of, not_opened, parts_of
from tests.support.small_protocol import Federation, agreed_terms

SCHEME = Committee()


def closed_of(**terms):
    """Of a round whose uploads have all arrived."""
    federation = federation_of(scheme=SCHEME, **terms)
    return federation, federation.servers[0].close()


class TestAServerThatChangesWhatItAdds:
    def test_adds_half_of_all_words(self):
        federation = federation_of(scheme=SCHEME)
        (server,) = federation.servers
        server._sum._words[3, 2] += np.uint32(1 << federation.terms.blocks.shape.value_bits - 1)
        not_opened(federation, server.close(), "do not add up")

    def test_leaves_out_a_row_of_zeros(self):
        """And keeps the user's tag: the list of rows is the user's own word."""
        federation, closed = closed_of(sparsity=0.5)
        sums = closed.sums
        at = int(np.flatnonzero(sums.counts)[0])
        first = int(sums.counts[:at].sum())
        counts = sums.counts.copy()
        counts[at] -= 1
        less = changed(closed, counts=counts, nonces=np.delete(sums.nonces, first, axis=0))
        not_opened(federation, less, "did not upload the rows that are listed as its own")

    def test_swaps_rows(self):
        federation, closed = closed_of(sparsity=0.5)
        totals, nonces = closed.sums.totals.copy(), closed.sums.nonces.copy()
        totals[[0, 1]] = totals[[1, 0]]
        not_opened(federation, changed(closed, totals=totals), "do not add up")
        federation, closed = closed_of(sparsity=0.5)
        nonces = closed.sums.nonces[::-1].copy()
        not_opened(federation, changed(closed, nonces=nonces), "listed where it was not uploaded")

    def test_adds_an_upload_twice(self):
        federation = federation_of(scheme=SCHEME)
        ((piece,), *_) = federation.uploaded
        federation.servers[0]._sum.add(piece.blocks, piece.ciphertexts)
        not_opened(federation, federation.servers[0].close(), "twice|the same nonce")

    def test_lists_rows_of_nobody(self):
        federation, closed = closed_of(sparsity=0.5)
        nonces = closed.sums.nonces.copy()
        nonces[0, :8] ^= 1
        not_opened(federation, changed(closed, nonces=nonces), "of no credited user's upload")

    def test_credits_somebody_with_anothers_upload(self):
        federation = federation_of(scheme=SCHEME)
        (server,) = federation.servers
        tags = server._tags._tags
        tags[1], tags[2] = tags[2], tags[1]
        not_opened(federation, server.close(), "did not upload the rows that are listed as its own")

    def test_shows_an_old_row(self):
        federation = Federation(SCHEME, agreed_terms(sparsity=0.0))
        federation.play(who=[0])
        old = federation.messages[0]
        federation.play(who=[2])
        (new,) = federation.messages
        for row in range(9):
            wire = new.ciphertexts.copy()
            wire[row] = old.ciphertexts[row]
            spoiled = dataclasses.replace(new, ciphertexts=wire)
            with pytest.raises(TamperedError):
                read_share([spoiled], 0, 1, federation.key, federation.terms)

    def test_begins_a_sum_with_an_old_row(self):
        federation = Federation(SCHEME, agreed_terms(sparsity=0.5))
        federation.play()
        old = federation.messages[0]
        federation.play()
        federation.deliver(federation.uploads())
        closed = federation.servers[0].close()
        start = closed.sums.start.copy()
        start[4] = old.ciphertexts[4, 0, :HEADER_BYTES]
        not_opened(federation, changed(closed, start=start), "did not begin with the tables that were read")

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"round": 2}, "it closed round 2, round 1 is open"),
            ({"head": b"x" * 32}, "another state than the one that was read"),
        ],
    )
    def test_closes_another_round(self, changes, reason):
        federation, closed = closed_of()
        not_opened(federation, dataclasses.replace(closed, **changes), reason)

    def test_closes_a_set_of_one(self):
        federation = Federation(SCHEME, agreed_terms())
        federation.deliver(federation.uploads()[:1])
        with pytest.raises(TamperedError, match="1 users have uploaded: 3 to 5 were expected"):
            federation.ledger.open([federation.servers[0].close()], least=3)


def two_sets(scheme=SCHEME):
    """Two closed sets of one round under one head, which differ by a user."""
    federation = federation_of(scheme=scheme, sparsity=0.5)
    (server,) = federation.servers
    whole = server.close()
    ((piece,), *_) = federation.uploaded
    server.retract(piece)
    return federation, piece, whole, server.close()


class TestTwoSets:
    def test_no_member_agrees_on_both(self):
        federation, _, whole, less = two_sets()
        agreed(federation, whole)
        for member in federation.key.members:
            with pytest.raises(AnotherSet):
                member.agree(less, federation.ledger.known())

    @pytest.mark.parametrize("corrupt", range(4))
    def test_two_groups_of_members_cannot_open_two(self, corrupt):
        """A corrupt member signs both; the honest ones are shown one set or the other."""
        federation, _, whole, less = two_sets()
        honest = [number for number in range(4) if number != corrupt]
        liar = CommitteeMember(federation.key, corrupt)
        liar.life = federation.key.members[corrupt].life
        known, opened = federation.ledger.known(), []
        for closed, shown in ((whole, honest[:1]), (less, honest[1:])):
            signatures = agreed(federation, closed, shown)
            liar._agreed.clear()
            signatures[corrupt] = liar.agree(closed, known)
            member = federation.key.members[shown[0]]
            group = next(at for at, who in enumerate(federation.key.groups) if member.number in who)
            try:
                member.part(group, closed, known, signatures)
            except ValueError:
                opened.append(False)
            else:
                opened.append(True)
        assert opened == [False, True]  # two of four are no quorum

    def test_a_member_that_is_restored_answers_no_more(self):
        """From a copy of its memory at the beginning of the round: its life is not copied."""
        federation, _, whole, less = two_sets()
        agreed(federation, whole)
        restored = CommitteeMember(federation.key, 0)
        with pytest.raises(AnotherSet, match="does not name the life of member 0"):
            restored.agree(less, federation.ledger.known())

    def test_members_without_memory_would_name_the_user_between_them(self):
        """The careless variant: what the server, one user and forgetful members read is that user's step."""
        federation, piece, whole, less = two_sets(Forgetful())
        drafts = []
        for closed in (whole, less):
            for member in federation.key.members:
                member._sent.clear()
            drafts.append(federation.evaluator.assemble(closed, parts_of(federation, closed)))
        rows = np.arange(9)
        one, other = (
            federation.key.unmasked(draft.sums, draft.closed, draft.first, rows) for draft in drafts
        )
        steps = federation.steps_of(0)
        assert np.array_equal((one - other)[piece.blocks], steps)
        assert steps.any()

    def test_a_round_that_goes_on_with_other_lives_has_the_same_set(self):
        federation, _, whole, less = two_sets()
        key, known = federation.key, federation.ledger.known()
        agreed(federation, whole)
        message = federation.messages[0]
        key.members[3] = CommitteeMember(key, 3)
        lives = tuple(one.life for one in key.members)
        signatures = {one.number: one.renew(message, lives) for one in key.members}
        for member in key.members:
            member.acknowledge(federation.evaluator.renewed(message, lives, signatures))
        for member in key.members[:3]:
            with pytest.raises(AnotherSet, match="has agreed on another set of this head"):
                member.agree(less, known)
        parts_of(federation, whole)

    def test_two_members_at_once_are_more_than_one(self):
        """What is assumed of four: one of them is corrupt, or is started again in the middle of a round. With
        one of each, two sets of a round are opened, and a user's step is between them."""
        federation, piece, whole, less = two_sets()
        key, message = federation.key, federation.messages[0]
        opened = [self.read(federation, whole, (0, 1, 2))]
        key.members[:2] = [CommitteeMember(key, 0), CommitteeMember(key, 1)]  # number 0 forgets on purpose
        lives = tuple(one.life for one in key.members)
        signatures = {number: key.members[number].renew(message, lives) for number in (0, 1, 3)}
        for number in (0, 1, 3):
            key.members[number].acknowledge(federation.evaluator.renewed(message, lives, signatures))
        opened.append(self.read(federation, less, (0, 1, 3)))
        assert np.array_equal((opened[0] - opened[1])[piece.blocks], federation.steps_of(0))

    def read(self, federation, closed, members):
        key, known = federation.key, federation.ledger.known()
        signatures = agreed(federation, closed, members)
        parts = [
            key.members[next(one for one in who if one in members)].part(group, closed, known, signatures)
            for group, who in enumerate(key.groups)
        ]
        draft = federation.evaluator.assemble(closed, parts)
        return key.unmasked(draft.sums, draft.closed, draft.first, np.arange(9))


class TestCollusion:
    def test_the_server_with_t_members_and_all_other_users_reads_noise(self):
        federation, read = self.read(Committee(), [2])
        right = federation.steps_of(0)
        assert not (read == right).any()
        assert len(np.unique(read)) == read.size

    def test_one_more_member_and_it_reads_everything(self):
        """Of four, one may collude: any two are in all groups."""
        federation, read = self.read(Committee(), [1, 3])
        assert np.array_equal(read, federation.steps_of(0))

    def read(self, scheme, members):
        federation = federation_of(scheme=scheme, sparsity=0.5)
        ((piece,), *_) = federation.uploaded
        return federation, federation.key.read_as(members, 1, piece.ciphertexts, piece.head)

    def test_another_users_key_does_not_read_an_upload(self):
        """Under masks it does."""
        federation = federation_of(scheme=SCHEME, sparsity=0.5)
        ((piece,), *_) = federation.uploaded
        read = federation.key.at(piece.head).decrypt(piece.ciphertexts)
        assert not (read == federation.steps_of(0)).any()

    def test_what_all_groups_but_one_send_is_noise(self):
        federation, closed = closed_of(sparsity=0.5)
        known, key = federation.ledger.known(), federation.key
        signatures = agreed(federation, closed)
        layout = BitLayout.of(federation.terms.blocks.shape)
        words = layout.unpack(closed.sums.totals)
        for group, who in enumerate(key.groups[:-1]):
            words += layout.unpack(key.members[who[0]].part(group, closed, known, signatures).words)
        nonces = key.table_nonces(key.members[0]._agreed[0][1], np.arange(9))
        seen = layout.signed(words - key.table_masks(nonces))
        touched = closed.sums.counts > 0
        assert (np.abs(seen[touched]).astype(float) > 1 << layout.bits - 8).mean() > 0.9
