"""A server that tests guesses: whether a round is accepted must tell it nothing of what rows hold."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError, read_share
from fedmf_ray.schemes import Masked
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, counted_nonces
from tests.support.broken_masks import AnyNonces, NoPrints
from tests.support.masked import federation_of
from tests.support.small_protocol import Federation, agreed_terms


def closed_without(federation, uploads, victim, block):
    """Honest uploads, but one row of a user is out of the sum, its nonce off the list, and its tag is kept:
    with public values and masked rows alone."""
    server = federation._receiver(type(federation.servers[0]), 0)
    for (piece,) in uploads:
        server.receive(piece)
    (piece,) = uploads[victim]
    total, rows = server._sum, piece.blocks - server._first
    nonces, out = piece.ciphertexts[:, 0, 1:HEADER_BYTES], piece.blocks == block
    # An upload of all rows is listed as one: then the others are listed row by row.
    mine = {bytes(nonce) for nonce in nonces}
    if any(bytes(nonce) in mine for (nonce,) in total._whole):
        total._listing.note(rows[~out], nonces[~out])
    else:
        total._listing.forget(rows[out], nonces[out])
    words = BitLayout.of(federation.terms.blocks.shape).unpack(piece.ciphertexts[out][:, 0, HEADER_BYTES:])
    total._words[rows[out]] -= words
    return server.close()


def opens(federation, closed):
    try:
        federation.ledger.open([closed])
    except TamperedError:
        return False
    return True


def accepted(scheme, rated):
    """Of each row that users upload and rated, or did not rate: whether it can be left out unnoticed."""
    federation = Federation(scheme, agreed_terms(sparsity=0.5))  # half of what users upload are decoys
    federation.play()
    uploads, found = federation.uploads(), []
    for victim in range(len(uploads)):
        mine = federation.users.train.part(victim, victim + 1).items
        (piece,) = uploads[victim]
        for block in piece.blocks[np.isin(piece.blocks, mine) == rated].tolist():
            found.append(opens(federation, closed_without(federation, uploads, victim, block)))
    return np.array(found)


@pytest.mark.parametrize("rated", [True, False])
def test_no_row_of_a_user_can_be_left_out(rated):
    found = accepted(Masked(), rated)
    assert len(found)
    assert not found.any()


def test_tags_of_values_alone_would_name_all_decoys():
    assert accepted(NoPrints(), rated=False).all()
    assert not accepted(NoPrints(), rated=True).any()


def guess(scheme, off):
    """A row that a user rated is left out, and a guess of its step added: ``off`` from the right one."""
    federation = Federation(scheme, agreed_terms(sparsity=0.5))
    federation.play()
    uploads, row = federation.uploads(), int(federation.users.train.part(0, 1).items[0])
    (piece,) = uploads[0]
    step = federation.key.at(piece.head).decrypt(piece.ciphertexts[piece.blocks == row])[0]
    assert step.any()
    closed = closed_without(federation, uploads, 0, row)
    layout = BitLayout.of(federation.terms.blocks.shape)
    words, totals = layout.unpack(closed.sums.totals), closed.sums.totals.copy()
    words[row] += (step + off).astype(layout.word)
    layout.pack(words, totals)
    return opens(
        federation, dataclasses.replace(closed, sums=dataclasses.replace(closed.sums, totals=totals))
    )


def test_a_step_that_is_guessed_right_is_refused_like_a_wrong_one():
    assert not guess(Masked(), 0)
    assert not guess(Masked(), 1)
    assert guess(NoPrints(), 0)  # so the test would notice


def two_rounds(scheme):
    """Tables of round 1, tables of round 2 in which some rows are as before, and both in the clear."""
    federation = Federation(scheme, agreed_terms(sparsity=0.0))
    federation.play(who=[0])
    old, before = federation.messages[0], federation.tables[0].copy()
    federation.play(who=[2])
    unchanged = np.flatnonzero((federation.tables[0] == before).all(axis=1))
    assert 0 < len(unchanged) < len(before)
    return federation, old, unchanged


def shown(federation, old, rows):
    """Which rows of old tables users read as rows of the new ones."""
    (new,), found = federation.messages, []
    for row in rows:
        wire = new.ciphertexts.copy()
        wire[row] = old.ciphertexts[row]
        try:
            read_share([dataclasses.replace(new, ciphertexts=wire)], 0, 1, federation.key, federation.terms)
        except TamperedError:
            continue
        found.append(row)
    return found


def test_an_old_row_is_not_read_even_if_it_has_not_changed():
    federation, old, _ = two_rounds(Masked())
    assert shown(federation, old, range(9)) == []
    federation, old, unchanged = two_rounds(AnyNonces())
    assert shown(federation, old, range(9)) == unchanged.tolist()


def begun_with(federation, old, rows):
    """With which rows of old tables a sum may begin, instead of the new ones."""
    federation.deliver(federation.uploads())
    (new,), closed = federation.messages, federation.servers[0].close()
    layout, found = BitLayout.of(federation.terms.blocks.shape), []
    for row in rows:
        start, totals = closed.sums.start.copy(), closed.sums.totals.copy()
        words = layout.unpack(totals)
        was, now = (layout.unpack(one.ciphertexts[row : row + 1, 0, HEADER_BYTES:]) for one in (old, new))
        words[row] += (was - now)[0]
        layout.pack(words, totals)
        start[row] = old.ciphertexts[row, 0, :HEADER_BYTES]
        sums = dataclasses.replace(closed.sums, start=start, totals=totals)
        if opens(federation, dataclasses.replace(closed, sums=sums)):
            found.append(row)
    return found


def test_no_sum_begins_with_an_old_row_even_if_it_has_not_changed():
    federation, old, _ = two_rounds(Masked())
    assert begun_with(federation, old, range(9)) == []
    federation, old, unchanged = two_rounds(AnyNonces())
    assert begun_with(federation, old, range(9)) == unchanged.tolist()


def test_an_upload_of_all_rows_is_not_listed_row_by_row():
    """It has one print: a row less would need others."""
    federation = federation_of(sparsity=0.0)
    closed = federation.servers[0].close()
    first, counts = closed.sums.whole[0], closed.sums.counts + 1
    nonces = np.zeros((len(counts), 12), np.uint8)
    nonces[:] = counted_nonces(first, len(counts))
    listed = dataclasses.replace(closed.sums, counts=counts, nonces=nonces, whole=closed.sums.whole[1:])
    assert opens(federation, closed)
    assert not opens(federation, dataclasses.replace(closed, sums=listed))
