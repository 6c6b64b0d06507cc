"""Every attack on ``masked`` that is known, played: what a server, a user or an opener might try."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.server import UploadRefused
from fedmf_ray.schemes import Masked, Shape
from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.broken_masks import NonceTwice, ReusedBase, TagsModulo2b
from tests.support.small_protocol import Federation, agreed_terms, train

SHAPE = Shape(4, 26)


def federation_of(rounds=1, scheme=None, **terms):
    """Users who have played some rounds and whose uploads of the next one have arrived, not closed."""
    federation = Federation(scheme or Masked(), agreed_terms(**terms))
    for _ in range(rounds):
        federation.play()
    federation.uploaded = federation.uploads()
    federation.past.append((federation.messages, federation.uploaded))
    federation.deliver(federation.uploaded)
    return federation


def words(federation, wire):
    layout = BitLayout.of(federation.terms.blocks.shape)
    return layout.unpack(wire[:, 0, HEADER_BYTES:])


def not_opened(federation, closed, reason):
    """The opener refuses, and has sent nothing."""
    with pytest.raises(TamperedError, match=f"server 0 are not opened: .*{reason}"):
        federation.ledger.open([closed])


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
            total._rows = [np.where(rows < 2, 1 - rows, rows) for rows in total._rows]
            total._start[[0, 1]] = total._start[[1, 0]]

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
        not_opened(federation, alone, "do not add up")


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


class TestReaders:
    """Users read what one opener has sealed, and nothing else."""

    def spoiled(self, **changes):
        federation = federation_of()
        federation.publish()
        (message,) = federation.messages
        federation.messages = [dataclasses.replace(message, **changes)]
        return federation, message

    def refuse(self, federation):
        with pytest.raises(TamperedError, match="^round 2: the item matrix of server 0"):
            federation.open()

    def test_an_upload_shown_as_tables(self):
        federation, message = self.spoiled()
        ((piece,), *_) = federation.uploaded
        wire = message.ciphertexts.copy()
        wire[piece.blocks] = piece.ciphertexts
        federation.messages = [dataclasses.replace(message, ciphertexts=wire)]
        self.refuse(federation)
        wire[piece.blocks, 0, 0] = wires.TABLES
        self.refuse(federation)

    @pytest.mark.parametrize("at", [0, 5, HEADER_BYTES, -1])
    def test_a_bit_of_a_row(self, at):
        federation, message = self.spoiled()
        wire = message.ciphertexts.copy()
        wire[4, 0, at] ^= 1
        federation.messages = [dataclasses.replace(message, ciphertexts=wire)]
        self.refuse(federation)

    def test_two_rows_with_their_seals(self):
        federation, message = self.spoiled()
        order = [1, 0, *range(2, len(message.ciphertexts))]
        proof = dataclasses.replace(message.proof, seals=message.proof.seals[order])
        federation.messages = [
            dataclasses.replace(message, ciphertexts=message.ciphertexts[order], proof=proof)
        ]
        self.refuse(federation)

    def test_other_credits(self):
        federation, message = self.spoiled()
        federation.messages = [dataclasses.replace(message, credited=message.credited[1:])]
        self.refuse(federation)

    @pytest.mark.parametrize("which", ["before", "rest"])
    def test_another_past(self, which):
        federation, message = self.spoiled()
        proof = dataclasses.replace(message.proof, **{which: b"y" * 32})
        federation.messages = [dataclasses.replace(message, proof=proof)]
        self.refuse(federation)

    def test_tables_of_before_under_a_new_number(self):
        federation, message = self.spoiled()
        federation.messages = [dataclasses.replace(federation.past[-1][0][0], round=2)]
        self.refuse(federation)

    def test_the_seals_of_some_rows_suffice_to_read_these(self):
        federation, message = self.spoiled()
        wire = message.ciphertexts.copy()
        wire[5, 0, -1] ^= 1
        changed = dataclasses.replace(message, ciphertexts=wire)
        some = np.array([0, 2, 8])
        expected = federation.key.read(message, np.arange(9))[some]
        assert np.array_equal(federation.key.read(changed, some), expected)
        with pytest.raises(ValueError, match="a seal does not fit its row"):
            federation.key.read(changed, np.array([5]))


def two_openings():
    """Of a round with everybody's uploads, and with one upload less, which an honest server never asks for."""
    federation = federation_of()
    (server,) = federation.servers
    whole = server.close()
    ((piece,), *_) = federation.uploaded
    server.retract(piece)
    less = server.close()
    return federation, piece, [federation.ledger.open([closed])[0] for closed in (whole, less)]


class TestTwoSets:
    def test_blocks_of_two_openings_are_not_read_together(self):
        federation, _, (one, other) = two_openings()
        (server,) = federation.servers
        message = server.publish(other)
        wire, seals = message.ciphertexts.copy(), message.proof.seals.copy()
        wire[:3], seals[:3] = one.sums[:3], one.proof.seals[:3]
        proof = dataclasses.replace(message.proof, seals=seals)
        federation.messages = [dataclasses.replace(message, ciphertexts=wire, proof=proof)]
        federation.number = 2
        with pytest.raises(TamperedError):
            federation.open()

    def test_users_read_one_successor_and_no_other(self):
        federation, _, (one, other) = two_openings()
        (server,) = federation.servers
        federation.messages, federation.number = [server.publish(other)], 2
        federation.open()
        message = federation.messages[0]
        federation.messages = [
            dataclasses.replace(
                message, ciphertexts=one.sums, tag=one.tags, head=one.head, proof=one.proof,
                credited=np.arange(1, 6),
            )
        ]  # fmt: skip
        with pytest.raises(TamperedError):
            federation.open()

    def test_their_difference_says_nothing_of_the_user_between_them(self):
        federation, piece, (one, other) = two_openings()
        assert one.head != other.head
        difference = words(federation, one.sums) - words(federation, other.sums)
        steps = self.steps_of(federation, piece)
        mask = (1 << federation.terms.blocks.shape.value_bits) - 1
        assert not ((difference[piece.blocks] & mask) == (steps & mask)).any()

    def test_under_a_reused_base_it_is_that_users_step(self, monkeypatch):
        monkeypatch.setattr("tests.schemes.masked.test_attacks.Masked", ReusedBase)
        federation, piece, (one, other) = two_openings()
        difference = words(federation, one.sums) - words(federation, other.sums)
        steps = self.steps_of(federation, piece)
        mask = (1 << federation.terms.blocks.shape.value_bits) - 1
        assert ((difference[piece.blocks] & mask) == (steps & mask)).all()
        assert steps.any()

    def steps_of(self, federation, piece):
        read = federation.key.at(piece.head).decrypt(piece.ciphertexts)
        return read.astype(np.uint32)

    def test_an_opening_of_another_set_is_not_published(self):
        federation, _, (one, _) = two_openings()
        (server,) = federation.servers
        with pytest.raises(ValueError, match="an opening of another set of uploads"):
            server.publish(one)
        assert server.closed
        assert server.round == 1

    def test_one_set_is_not_published_twice(self):
        federation = federation_of()
        (server,) = federation.servers
        (opening,) = federation.ledger.open([server.close()])
        server.publish(opening)
        with pytest.raises(ValueError, match="an opening of round 1 is not for round 2"):
            server.publish(opening)


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


class TestUploads:
    def test_of_a_wrapped_sum_are_not_opened(self):
        """A sum over 2^(b-1) looks small modulo 2^b. Tags are about the integers."""
        federation = federation_of()
        (server,) = federation.servers
        bits = federation.terms.blocks.shape.value_bits
        head = federation.messages[0].head
        for user in (1, 2, 3):
            server.retract(federation.uploaded[user - 1][0])
            blocks = federation.uploaded[user - 1][0].blocks
            large = np.full((len(blocks), 4), (1 << bits - 1) - 1)
            from fedmf_ray.schemes import Piece

            wire, tags = federation.key.protect(
                1, large, blocks, [Piece(user, 0, 0, len(blocks))], {0: head}, False
            )
            upload = dataclasses.replace(federation.uploaded[user - 1][0], ciphertexts=wire, tag=tags[0])
            server.receive(upload)
        not_opened(federation, server.close(), "do not add up")

    def test_words_are_reduced(self):
        """An unreduced word names values: packed words have no bit for it."""
        layout = BitLayout.of(SHAPE)
        _, key = Masked().sides(SHAPE)
        wire = key.encrypt(np.full((2000, 4), (1 << 25) - 1))
        assert wire.shape[-1] == HEADER_BYTES + 13
        highest = layout.unpack(wire[:, 0, HEADER_BYTES:]) >> 25
        assert highest.max() == 1
        assert 0.45 < highest.mean() < 0.55

    def test_a_nonce_that_comes_twice_is_refused(self):
        federation = Federation(Masked(), agreed_terms())
        (piece,) = next(one for one in federation.uploads() if len(one[0].blocks) > 1)
        wire = piece.ciphertexts.copy()
        wire[1, 0, 1:HEADER_BYTES] = wire[0, 0, 1:HEADER_BYTES]
        with pytest.raises(UploadRefused, match="a nonce comes twice"):
            federation.servers[0].receive(dataclasses.replace(piece, ciphertexts=wire))
        assert federation.servers[0].added.tolist() == []
        federation.servers[0].receive(piece)

    def test_a_nonce_that_two_users_have_stops_the_round(self):
        federation = Federation(Masked(), agreed_terms())
        (one,), (other,), *_ = federation.uploads()
        wire = other.ciphertexts.copy()
        wire[0, 0, 1:HEADER_BYTES] = one.ciphertexts[0, 0, 1:HEADER_BYTES]
        federation.servers[0].receive(one)
        federation.servers[0].receive(dataclasses.replace(other, ciphertexts=wire))
        not_opened(federation, federation.servers[0].close(), "two uploads have the same nonce")

    def test_a_nonce_of_another_round_stands_for_another_mask(self):
        _, key = Masked().sides(SHAPE)
        nonces = np.zeros((50, 12), np.uint8)
        nonces[:, 0] = np.arange(50)
        masks = [
            key._round(head).uploads.words(nonces, 4, np.dtype("<u4")) for head in (b"a" * 32, b"b" * 32)
        ]
        assert not (masks[0] == masks[1]).any()

    def test_with_one_nonce_the_difference_of_two_rows_is_seen(self):
        """Why it must not come twice."""
        _, key = NonceTwice().sides(SHAPE)
        rows = np.array([[5, 0, -9, 3], [1, 1, 1, 1]])
        layout = BitLayout.of(SHAPE)
        seen = [layout.unpack(key.encrypt(row[None])[:, 0, HEADER_BYTES:]) for row in rows]
        assert np.array_equal(layout.signed(seen[0] - seen[1])[0], rows[0] - rows[1])

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda tag: tag[:-1], "its tag of .27,. is not of the agreed shape"),
            (lambda tag: np.append(tag, tag[:1]), "its tag of .29,."),
            (lambda tag: np.full_like(tag, 255), "not a number modulo p"),
        ],
    )
    def test_a_tag_that_does_not_fit_is_refused(self, spoil, reason):
        federation = Federation(Masked(), agreed_terms())
        (piece,), *_ = federation.uploads()
        with pytest.raises(UploadRefused, match=reason):
            federation.servers[0].receive(dataclasses.replace(piece, tag=spoil(piece.tag)))
        assert federation.servers[0].added.tolist() == []


class TestTags:
    def test_modulo_a_power_of_two_half_of_all_words_often_passes(self):
        """Why they live modulo a prime."""
        _, key = TagsModulo2b().sides(SHAPE)
        integers = np.arange(400).reshape(100, 4)
        passed = 0
        for at in range(400):
            changed = integers.copy()
            changed.reshape(-1)[at] += 1 << 25
            passed += key.tag_of(changed) == key.tag_of(integers)
        assert 120 < passed < 280

    def test_modulo_p_it_never_does(self):
        _, key = Masked().sides(SHAPE)
        integers, rows = np.arange(400).reshape(100, 4), np.arange(100)
        (number,) = key._weights.numbers(rows, integers, [(0, 100)])
        for at in range(0, 400, 7):
            changed = integers.copy()
            changed.reshape(-1)[at] += 1 << 24
            assert key._weights.numbers(rows, changed, [(0, 100)]) != [number]

    def test_two_tags_of_the_same_steps_have_nothing_in_common(self):
        federation = Federation(Masked(), agreed_terms())
        tags = [federation.uploads()[0][0].tag for _ in range(2)]
        assert not np.array_equal(tags[0], tags[1])
        assert all(field.to_int(tag[12:]) > field.P >> 60 for tag in tags)


class TestWhatAnOpenerLearns:
    def test_nothing_links_the_rows_of_a_user(self):
        """In part text: independent nonces, sorted in each row."""
        federation = federation_of()
        sums = federation.servers[0].close().sums
        assert sums.whole.size == 0
        assert sums.counts.sum() == len(sums.nonces) == sum(len(one[0].blocks) for one in federation.uploaded)
        starts = np.concatenate([[0], np.cumsum(sums.counts)]).astype(int)
        for begin, end in zip(starts[:-1], starts[1:], strict=True):
            prefixes = wires.prefixes(sums.nonces[begin:end]) >> np.uint64(24)
            assert (np.diff(prefixes.astype(np.int64)) >= 0).all()

    def test_in_full_text_there_is_one_nonce_an_upload(self):
        federation = federation_of(sparsity=0.0)
        sums = federation.servers[0].close().sums
        assert len(sums.whole) == len(federation.uploaded)
        assert sums.nonces.size == 0


@pytest.mark.parametrize("sparsity", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize("servers", [1, 3])
def test_the_bits_are_those_of_plain(sparsity, combine, servers):
    terms = agreed_terms("batch", sparsity, servers=servers)
    assert np.array_equal(train(Masked(), terms, combine=combine, parts=2), train("plain", terms))


def test_of_several_servers_one_may_be_opened_again_by_itself():
    """It died and got new uploads: another list, another base, while the others have published."""
    federation = federation_of(servers=2)
    first, second = federation.servers
    openings = federation.ledger.open([first.close(), second.close()])
    messages = [first.publish(openings[0])]
    again = federation.past[-1][0][1]
    fresh = federation.uploads()
    federation.messages = [federation.messages[0], again]
    federation.start_servers()
    restarted = federation.servers[1]
    for _, piece in fresh:
        restarted.receive(piece)
    (opening,) = federation.ledger.open([restarted.close()])
    assert opening.head != openings[1].head
    federation.messages, federation.number = [*messages, restarted.publish(opening)], 2
    federation.open()
    assert np.array_equal(federation.tables[0], train("plain", federation.terms, rounds=2)[-1])


def test_shared_tables_start_from_zero():
    from tests.support.moments_rule import Moments

    terms = agreed_terms(Moments(), servers=2)
    assert np.array_equal(train(Masked(), terms, combine=True), train("plain", terms))


def test_users_remember_a_head_over_a_restart():
    from fedmf_ray.protocol.items import Ledger

    federation = Federation(Masked(), agreed_terms(servers=2))
    federation.play()
    federation.play()
    balance = [int(number) for number in federation.ledger.balance]
    federation.ledger = Ledger(federation.key, federation.terms, balance, federation.round)
    federation.start_servers()
    federation.open()
    federation.play()
    old = federation.past[0][0]
    federation.messages = [dataclasses.replace(one, round=4) for one in old]
    federation.number = 4
    with pytest.raises(TamperedError):
        federation.open()
