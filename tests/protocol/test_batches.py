"""Many uploads at once are added and refused as they would be one after the other."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.combiner import Combiner, deliver, deliver_all
from fedmf_ray.protocol.messages import NOBODY, EncryptedItems, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server, UploadRefused
from fedmf_ray.schemes import Plain, Shape
from tests.protocol.test_fuzz import BLOCKS, Boundary
from tests.support.small_protocol import Federation, agreed_terms, people

SCHEMES = ["plain", "packed", "elementwise", "masked", "committee"]


def crowd(scheme, servers=2):
    """Twelve users, and what they upload."""
    federation = Federation(scheme, agreed_terms("batch", servers=servers, users=12), list(people(12)))
    return federation, federation.uploads()


def outcome(federation, refused):
    """Who is in the sums, who is refused and why, and what users read next."""
    added = [server.added.tolist() for server in federation.servers]
    federation.publish()
    federation.open()
    return added, {at: str(error) for at, error in refused.items()}, federation.tables


def spoil(uploads):
    """In some, one server's piece is wrong."""
    first, second = uploads[3]
    wrong = second.ciphertexts.copy()
    wrong[..., :] = 255
    uploads[3] = [first, dataclasses.replace(second, ciphertexts=wrong)]
    uploads[5] = [dataclasses.replace(piece, round=7) for piece in uploads[5]]
    uploads[7] = [uploads[7][0], dataclasses.replace(uploads[7][1], blocks=uploads[7][1].blocks + 100)]
    return uploads


@pytest.mark.parametrize("scheme", ["plain", "packed", "elementwise"])
@pytest.mark.parametrize("spoiled", [False, True])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_batches_are_uploads_one_after_the_other(scheme, spoiled, size):
    outcomes = []
    for at_once in (False, True):
        federation, uploads = crowd(scheme)
        if spoiled:
            uploads = spoil(uploads)
        refused = {}
        if at_once:
            for begin in range(0, len(uploads), size):
                found = deliver_all(uploads[begin : begin + size], federation.servers)
                refused |= {begin + at: error for at, error in found.items()}
        else:
            for at, pieces in enumerate(uploads):
                try:
                    deliver(pieces, federation.servers)
                except UploadRefused as error:
                    refused[at] = error
        outcomes.append(outcome(federation, refused))
    (one, reasons, tables), (other, again, also) = outcomes
    assert one == other
    assert one[0] == one[1]
    assert reasons == again
    # All bits are set: no ciphertext, but an integer like any other.
    assert set(reasons) == ({5, 7} | ({3} if scheme != "plain" else set()) if spoiled else set())
    for mine, those in zip(tables, also, strict=True):
        assert np.array_equal(mine, those)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_user_who_comes_twice_is_added_once(scheme):
    federation, uploads = crowd(scheme, servers=1)
    pieces = [one for (one,) in uploads]
    (server,) = federation.servers
    refused = server.receive_all([pieces[0], dataclasses.replace(pieces[1], round=3), pieces[1], pieces[0]])
    assert {at: error.reason for at, error in refused.items()} == {
        1: "this is round 0",
        3: "has uploaded already",
    }
    assert list(server.receive_all(pieces)) == [0, 1]
    assert server.added.tolist() == list(range(1, 13))


@pytest.mark.parametrize("counts", [[0, 2], [2, 0], [0, 0, 1], [1, 0], [0, 0], [3, 0, 3], [0, 4, 0, 2]])
@pytest.mark.parametrize("wrong", [False, True])
def test_uploads_without_blocks_hide_no_disorder(counts, wrong):
    """With several servers, what goes to one of them may be empty."""
    evaluator, _ = Plain().sides(Shape(2, 30))
    wire = np.zeros((5, 2, 8), np.uint8)
    roster = Roster(np.arange(len(counts)), np.array(counts))
    uploads = [
        Upload(0, user, np.arange(count), np.ones((count, 2, 8), np.uint8), None)
        for user, count in enumerate(counts)
    ]
    for at, upload in enumerate(uploads):
        if wrong and counts[at] > 1:
            disordered = upload.blocks[::-1].copy()
            uploads[at] = dataclasses.replace(upload, blocks=disordered)
    server = Server(evaluator, EncryptedItems(0, 0, wire, None, NOBODY), roster)
    refused = server.receive_all(uploads)
    assert list(refused) == [at for at, count in enumerate(counts) if wrong and count > 1]
    assert server.added.tolist() == [at for at in range(len(counts)) if at not in refused]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_empty_batch_adds_nothing(scheme):
    federation, _ = crowd(scheme)
    assert federation.servers[0].receive_all([]) == {}
    assert deliver_all([], federation.servers) == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_that_is_malformed_does_not_keep_the_others_out(scheme):
    """Whatever is wrong with it, and wherever it stands."""
    boundary = Boundary(scheme, seed=11)
    for _ in range(60):
        bad = boundary.spoiled()
        for batch, place in (([bad, boundary.honest], 0), ([boundary.honest, bad], 1)):
            combiner = Combiner(boundary.evaluator, boundary.items, boundary.roster())
            refused = combiner.receive_all(batch)
            assert list(refused) == [place]
            partial = combiner.finish()
            assert partial.user_ids.tolist() == [1]
            assert partial.blocks.tolist() == boundary.honest.blocks.tolist()


def test_plain_sums_without_the_extension_are_the_same(monkeypatch):
    from fedmf_ray.schemes.masked import compiled

    rows = np.array([5, 1, 5, 5, 0])
    wire = np.random.default_rng(1).integers(0, 256, (5, 3, 8), np.uint8)
    sums = []
    for native in (compiled._NATIVE, None):
        monkeypatch.setattr(compiled, "_NATIVE", native)
        evaluator = crowd("plain")[0].evaluator
        total = evaluator.aggregate(np.zeros((BLOCKS, 3, 8), np.uint8))
        total.add(rows, wire)
        total.add(np.array([1, 2]), wire[:2])
        sums.append(total.wire())
    assert np.array_equal(*sums)
    assert sums[0].any()
