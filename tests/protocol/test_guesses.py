"""A server that tests guesses under Paillier: whether a round is accepted must not tell what rows hold."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from tests.support.plaintext_tags import PlaintextTags
from tests.support.small_protocol import Federation, agreed_terms

OLD = PlaintextTags(1024)


def accepted(federation):
    try:
        federation.open()
    except TamperedError:
        return False
    return True


def without(federation, user, block):
    """All uploads arrive; the server takes one row of a user out again, and keeps the user's tag. Returns the
    row, as it was uploaded."""
    uploads = federation.uploads()
    federation.deliver(uploads)
    (piece,), (server,) = uploads[user], federation.servers
    row = piece.ciphertexts[piece.blocks == block]
    server._sum.add(np.array([block]), federation.evaluator.negate(row))
    return row


def left_out(scheme, sparsity, rated):
    """Of some rows that two users upload and rated, or did not rate: whether each can be left out."""
    terms, found = agreed_terms(sparsity=sparsity), []
    one = Federation(scheme, terms)
    decoys = one.users.upload_rows.decoys
    for user in (0, 3):
        mine = one.users.train.part(user, user + 1).items
        (piece,) = one.uploads()[user]
        for block in piece.blocks[np.isin(piece.blocks, mine) == rated][:2].tolist():
            federation = Federation(scheme, terms, decoys=decoys)
            without(federation, user, block)
            federation.publish()
            found.append(accepted(federation))
    return found


@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
@pytest.mark.parametrize("sparsity", [0.0, 0.2])
@pytest.mark.parametrize("rated", [True, False])
def test_no_row_of_a_user_can_be_left_out(scheme, sparsity, rated):
    found = left_out(scheme, sparsity, rated)
    assert found
    assert not any(found)


@pytest.mark.parametrize("sparsity", [0.0, 0.2])
def test_tags_of_plaintexts_would_name_what_a_user_rated(sparsity):
    """So the tests here would notice."""
    found = left_out(OLD, sparsity, rated=False)
    assert found
    assert all(found)
    assert not any(left_out(OLD, sparsity, rated=True))


def guessed(scheme, off):
    """A row that a user rated is left out, and a guess of its step added: ``off`` from the right one."""
    federation = Federation(scheme, agreed_terms())
    block = int(federation.users.train.part(0, 1).items[0])
    step = federation.key.decrypt(without(federation, 0, block))
    assert step.any()
    federation.servers[0]._sum.add(np.array([block]), federation.key.encrypt(step + off))
    federation.publish()
    return accepted(federation)


@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
def test_a_step_that_is_guessed_right_is_refused_like_a_wrong_one(scheme):
    assert not guessed(scheme, 0)
    assert not guessed(scheme, 1)


def test_tags_of_plaintexts_would_tell_a_right_guess():
    assert guessed(OLD, 0)
    assert not guessed(OLD, 1)


def old_rows(scheme):
    """Which rows of earlier tables users take for rows of the tables of now, and which have not changed."""
    federation = Federation(scheme, agreed_terms())
    old, before = federation.messages[0], federation.tables[0].copy()
    federation.play(who=[0])
    (new,), found = federation.messages, []
    for row in range(len(before)):
        wire = new.ciphertexts.copy()
        wire[row] = old.ciphertexts[row]
        wire_again = dataclasses.replace(new, ciphertexts=wire)
        federation.messages = [wire_again]
        if accepted(federation):
            found.append(row)
    unchanged = np.flatnonzero((federation.tables[0] == before).all(axis=1)).tolist()
    return found, unchanged


def test_a_row_that_nobody_uploaded_is_the_same_row():
    """Nothing is learned from it: its bytes have not changed either."""
    found, unchanged = old_rows("packed")
    assert 0 < len(found) < 9
    assert found == unchanged


def test_an_old_row_is_not_taken_though_decoys_left_it_as_it_was():
    federation = Federation("packed", agreed_terms(sparsity=0.0))
    old, before = federation.messages[0], federation.tables[0].copy()
    federation.play(who=[0])
    (new,) = federation.messages
    unchanged = np.flatnonzero((federation.tables[0] == before).all(axis=1)).tolist()
    assert unchanged
    for row in unchanged:
        wire = new.ciphertexts.copy()
        wire[row] = old.ciphertexts[row]
        federation.messages = [dataclasses.replace(new, ciphertexts=wire)]
        assert not accepted(federation)
    federation.messages = [new]
    assert accepted(federation)
