"""Uploads under masks: nonces, words, tags, and what an opener gets to see of them."""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest

from fedmf_ray import threads
from fedmf_ray.protocol.items import Ledger, TamperedError
from fedmf_ray.protocol.server import UploadRefused
from fedmf_ray.schemes import Masked, Piece, Shape
from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.broken_masks import NonceTwice, TagsModulo2b
from tests.support.masked import federation_of, not_opened
from tests.support.moments_rule import Moments
from tests.support.small_protocol import Federation, agreed_terms, train

SHAPE = Shape(4, 26)


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
        for begin, end in itertools.pairwise(starts):
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
    terms = agreed_terms(Moments(), servers=2)
    assert np.array_equal(train(Masked(), terms, combine=True), train("plain", terms))


def test_users_remember_a_head_over_a_restart():
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


@pytest.mark.parametrize("sparsity", [1.0, 0.0])
@pytest.mark.parametrize("native", [True, False])
def test_several_threads_open_to_the_same_bytes(monkeypatch, sparsity, native):
    monkeypatch.setattr("fedmf_ray.schemes.masked.listing._AT_ONCE", 5)
    monkeypatch.setattr("fedmf_ray.schemes.masked.bits._CHUNK_VALUES", 9)
    if not native:
        monkeypatch.setattr("fedmf_ray.schemes.masked.compiled._NATIVE", None)
    federation = federation_of(sparsity=sparsity)
    closed = federation.servers[0].close()
    (one,) = federation.ledger.open([closed])
    for most in (2, 3, 8):
        with threads.up_to(most):
            (several,) = federation.ledger.open([closed])
        assert np.array_equal(several.sums, one.sums)
        assert np.array_equal(several.tags, one.tags)


@pytest.mark.parametrize("sparsity", [1.0, 0.0])
def test_a_server_may_hold_what_it_closed_where_others_read_it(sparsity):
    federation = federation_of(sparsity=sparsity)
    server = federation.servers[0]
    closed = server.close()
    same = pickle.loads(pickle.dumps(closed))
    server.hold(same)
    again = server.close()
    assert again.sums.nonces is same.sums.nonces
    assert all(run.nonces is same.sums.nonces for run in server._sum._listing._runs)
    for name in ("start", "totals", "counts", "nonces", "whole"):
        assert np.array_equal(getattr(again.sums, name), getattr(closed.sums, name))
    (opening,) = federation.ledger.open([closed])
    assert server.publish(opening).head == opening.head


def test_a_server_that_has_not_closed_holds_nothing():
    federation, other = federation_of(), federation_of()
    federation.servers[0].hold(other.servers[0].close())
    (opening,) = federation.ledger.open([federation.servers[0].close()])
    assert federation.servers[0].publish(opening).head == opening.head


@pytest.mark.parametrize("pending", [1, 12, 1 << 12])
def test_an_upload_may_lie_in_memory_in_any_order(monkeypatch, pending):
    """Pickles keep it: its rows are the same."""
    monkeypatch.setattr("fedmf_ray.schemes.masked.server._PENDING_ROWS", pending)
    federation = Federation(Masked(), agreed_terms())
    uploads = [pieces[0] for pieces in federation.uploads()]
    for at in (0, 2):
        turned = np.asfortranarray(uploads[at].ciphertexts)
        uploads[at] = dataclasses.replace(uploads[at], ciphertexts=turned)
    server = federation.servers[0]
    assert server.receive_all(pickle.loads(pickle.dumps(uploads))) == {}
    (opening,) = federation.ledger.open([server.close()])
    federation.messages, federation.number = [server.publish(opening)], 1
    federation.open()
    assert np.array_equal(federation.tables[0], train("plain", federation.terms, rounds=1)[-1])


def test_taking_out_an_upload_that_begins_like_another_leaves_that_one_alone():
    """In full text, where uploads are listed by their first nonces."""
    federation = federation_of(sparsity=0.0)
    aggregate = federation.servers[0]._sum
    before = [one.tobytes() for one in aggregate._whole]
    wire = federation.uploaded[0][0].ciphertexts.copy()
    rows = np.arange(len(wire))
    wire[1:, 0, 1:13] = np.random.default_rng(0).integers(0, 256, (len(wire) - 1, 12))
    aggregate.add(rows, wire)
    aggregate.add(rows, federation.evaluator.negate(wire))
    assert [one.tobytes() for one in aggregate._whole] == before
    assert not aggregate._listing
