"""Every attack on ``masked`` that is known, played: of a server on the sums of a round, and openers."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.server import UploadRefused
from fedmf_ray.schemes import Masked, Shape
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.listing import Listing
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.masked import federation_of, not_opened
from tests.support.small_protocol import Federation, agreed_terms

SHAPE = Shape(4, 26)


class TestAServerThatChangesWhatItAdds:
    """The opener opens sums that are what the tags say, or nothing."""

    @staticmethod
    def sums_after(change):
        federation = federation_of()
        (server,) = federation.servers
        change(federation, server._sum, server)
        return federation, server.close()

    def test_an_old_upload_is_replayed(self):
        def replay(federation, total, server):
            (old,) = federation.past[0][1][0]
            total.add(old.blocks, old.ciphertexts)

        not_opened(*self.sums_after(replay), "do not add up")

    def test_an_upload_is_added_twice(self):
        def again(federation, total, server):
            ((piece,), *_) = federation.uploaded
            total.add(piece.blocks, piece.ciphertexts)

        not_opened(*self.sums_after(again), "two uploads have the same nonce")

    def test_two_rows_are_swapped(self):
        def swap(federation, total, server):
            total._words[[0, 1]] = total._words[[1, 0]]
            counts, nonces = total._listing.closed(len(total._words))
            rows = np.repeat(np.arange(len(counts)), counts)
            total._listing = Listing()
            total._listing.note(np.where(rows < 2, 1 - rows, rows), nonces)

        not_opened(*self.sums_after(swap), "do not add up")

    def test_a_row_of_a_credited_user_is_dropped(self):
        def drop(federation, total, server):
            ((piece,), *_) = federation.uploaded
            total.add(piece.blocks[:1], federation.evaluator.negate(piece.ciphertexts[:1]))

        not_opened(*self.sums_after(drop), "do not add up")

    def test_half_of_all_words_is_added(self):
        """2^(b-1), which an even weight would hide from a tag modulo 2^b."""

        def half(federation, total, server):
            total._words[3, 2] += np.uint32(1 << federation.terms.blocks.shape.value_bits - 1)

        not_opened(*self.sums_after(half), "do not add up")

    def test_a_whole_turn_changes_nothing(self):
        """2^b is nothing on the wire."""

        def turn(federation, total, server):
            bits = federation.terms.blocks.shape.value_bits
            total._words[3, 2] = (int(total._words[3, 2]) + (1 << bits)) % (1 << 32)

        federation, closed = self.sums_after(turn)
        federation.ledger.open([closed])

    def test_a_user_is_credited_for_what_another_uploaded(self):
        def credit(federation, total, server):
            tags = server._tags._tags
            tags[1], tags[2] = tags[2], tags[1]

        not_opened(*self.sums_after(credit), "do not add up")

    def test_somebody_is_credited_who_uploaded_nothing(self):
        federation, closed = self.sums_after(lambda *_: None)
        credited = np.append(closed.credited, closed.credited[-1] + 1)
        not_opened(federation, dataclasses.replace(closed, credited=credited), "not those of the users")

    def test_somebody_is_credited_twice(self):
        federation, closed = self.sums_after(lambda *_: None)
        twice, first = closed.credited.copy(), closed.tags.nonces.copy()
        twice[1] = twice[0]
        tags = dataclasses.replace(closed.tags, user_ids=twice, nonces=first)
        not_opened(federation, dataclasses.replace(closed, credited=twice, tags=tags), "twice")

    def test_one_of_its_own_uploads_is_shown_as_tables(self):
        """To an opener: the masked row of one user, with nothing added."""
        federation, closed = self.sums_after(lambda *_: None)
        ((piece,), *_) = federation.uploaded
        sums = closed.sums
        start, totals = sums.start.copy(), sums.totals.copy()
        start[piece.blocks] = piece.ciphertexts[:, 0, :HEADER_BYTES]
        totals[piece.blocks] = piece.ciphertexts[:, 0, HEADER_BYTES:]
        none = np.zeros_like(sums.counts)
        shown = wires.Sums(start, totals, none, sums.nonces[:0], sums.whole)
        empty = wires.TagSums(closed.tags.user_ids[:0], closed.tags.nonces[:0], closed.tags.total)
        alone = dataclasses.replace(closed, sums=shown, tags=empty, credited=closed.credited[:0])
        not_opened(federation, alone, "did not begin with the tables that were read")


class TestASetOfTooFew:
    def test_is_not_opened(self):
        """A sum of one honest user is its step."""
        federation = Federation(Masked(), agreed_terms())
        federation.deliver(federation.uploads()[:1])
        closed = federation.servers[0].close()
        with pytest.raises(TamperedError, match="1 users have uploaded: 3 to 5 were expected"):
            federation.ledger.open([closed], least=3)
        federation.ledger.open([closed], least=1)


class TestARoundThatIsAnother:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"round": 2}, "it closed round 2, round 1 is open"),
            ({"head": b"x" * 32}, "another state than the one that was read"),
            ({"first": 1}, "another state"),
        ],
    )
    def test_is_not_opened(self, changes, reason):
        federation = federation_of()
        closed = dataclasses.replace(federation.servers[0].close(), **changes)
        with pytest.raises(TamperedError, match=reason):
            federation.ledger.open([closed])

    def test_an_upload_of_an_earlier_round_is_refused(self):
        federation = Federation(Masked(), agreed_terms())
        federation.play()
        ((old,), *_) = federation.past[0][1]
        for upload, reason in [
            (old, "this is round 1"),
            (dataclasses.replace(old, round=1), "is for other tables than those that opened this round"),
        ]:
            with pytest.raises(UploadRefused, match=reason):
                federation.servers[0].receive(upload)
        assert federation.servers[0].added.tolist() == []

    def test_an_upload_that_takes_the_head_of_another_round_does_not_add_up(self):
        """Its mask and its tag are of the round in which it was made."""
        federation = Federation(Masked(), agreed_terms())
        federation.play()
        ((old,), *_) = federation.past[0][1]
        (server,) = federation.servers
        server.receive(dataclasses.replace(old, round=1, head=federation.messages[0].head))
        not_opened(federation, server.close(), "do not add up")


class TestAnOpener:
    def test_who_takes_over_answers_the_same_bytes(self):
        federation = federation_of()
        closed = federation.servers[0].close()
        _, other = federation.scheme.sides(federation.terms.blocks.shape, federation.key.secrets())
        mine, theirs = federation.ledger.open([closed])[0], None
        federation.ledger._key = other
        theirs = federation.ledger.open([closed])[0]
        for ours, again in ((mine.sums, theirs.sums), (mine.tags, theirs.tags)):
            assert np.array_equal(ours, again)
        assert mine.head == theirs.head
        assert np.array_equal(mine.proof.seals, theirs.proof.seals)

    def test_order_of_arrival_says_nothing(self):
        federation = Federation(Masked(), agreed_terms())
        uploads = federation.uploads()
        closed = []
        for order in (uploads, uploads[::-1]):
            federation.start_servers()
            federation.deliver(order)
            closed.append(federation.servers[0].close())
        one, other = closed
        for name in ("start", "totals", "counts", "nonces", "whole"):
            assert np.array_equal(getattr(one.sums, name), getattr(other.sums, name)), name
        assert federation.evaluator.digest(one) == federation.evaluator.digest(other)

    @pytest.mark.parametrize("what", ["sums", "seals"])
    def test_one_without_the_secret_that_lies_is_found_out(self, what):
        federation = federation_of()
        (server,) = federation.servers
        (opening,) = federation.ledger.open([server.close()])
        if what == "sums":
            sums = opening.sums.copy()
            sums[2, 0, -1] ^= 4
            opening = dataclasses.replace(opening, sums=sums)
        else:
            seals = opening.proof.seals.copy()
            seals[2, 0] ^= 4
            opening = dataclasses.replace(opening, proof=dataclasses.replace(opening.proof, seals=seals))
        federation.messages, federation.number = [server.publish(opening)], 2
        with pytest.raises(TamperedError):
            federation.open()
