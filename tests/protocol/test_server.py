"""What a server refuses, and what it holds."""

import dataclasses
import pickle

import numpy as np
import pytest

from fedmf_ray.protocol.items import encrypt_items
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server, UploadRefused
from fedmf_ray.schemes import Piece
from fedmf_ray.schemes.numbers import array_to_numbers
from tests.support.small_protocol import FACTORS, ITEMS, agreed_terms, sides

MEMBERS = Roster(np.array([1, 2]), np.array([2, 2]))
"""Two users who have announced two blocks each."""


def setting_of(scheme):
    """Both sides, and an item matrix of zeros."""
    terms = agreed_terms()
    evaluator, key = sides(scheme, terms.blocks.shape)
    (zeros,) = encrypt_items([np.zeros((ITEMS, FACTORS))], key, terms)
    return evaluator, key, zeros


@pytest.fixture(scope="module")
def setting():
    return setting_of("packed")


def upload_of(key, round=0, user=1, rows=(2, 5)):
    rows, integers = np.array(rows, np.int64), np.full((len(rows), FACTORS), 1 << 19)
    wire, (tag,) = key.protect(round, integers, rows, [Piece(user, 0, 0, len(rows))], {}, False)
    return Upload(round, user, rows, wire, tag)


class TestServer:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"round": 1}, "this is round 0"),
            ({"user": 99}, "no such user"),
            ({"rows": (2,)}, "not the 2 it announced"),
            ({"rows": (2, 5, 6)}, "not the 2 it announced"),
            ({"rows": (5, 2)}, "strictly increasing"),
            ({"rows": (2, 2)}, "strictly increasing"),
            ({"rows": (-1, 2)}, "within 0 to 8"),
            ({"rows": (2, 9)}, "within 0 to 8"),
        ],
    )
    def test_refuses_what_does_not_fit_and_adds_nothing(self, setting, changes, reason):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        with pytest.raises(UploadRefused, match=reason):
            server.receive(upload_of(key, **changes))
        assert not key.decrypt(server.publish().ciphertexts).any()

    def test_refuses_the_wrong_number_of_rows_and_bad_ciphertexts(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        good = upload_of(key)
        for bad, reason in [
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[:1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[..., :-1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=np.zeros_like(good.ciphertexts)), "a ciphertext"),
            (dataclasses.replace(good, tag=None), "has no tag"),
            (dataclasses.replace(good, tag=good.tag[:-1]), "its tag of .263,. is not of the agreed shape"),
            (dataclasses.replace(good, tag=np.zeros_like(good.tag)), "a ciphertext"),
        ]:
            with pytest.raises(UploadRefused, match=reason):
                server.receive(bad)
        server.receive(good)  # a refused upload does not use up the user's turn
        assert key.decrypt(server.publish().ciphertexts).sum() == 2 * FACTORS << 19

    def test_applies_an_upload_once_a_round(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        server.receive(upload_of(key))
        with pytest.raises(UploadRefused, match="uploaded already"):
            server.receive(upload_of(key))
        server.publish()
        server.receive(upload_of(key, round=1))
        assert key.decrypt(server.publish().ciphertexts)[2, 0] == 1 << 20

    def test_a_closed_round_takes_nothing_more_and_says_the_same_again(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        server.receive(upload_of(key))
        for _ in range(2):
            closed = server.close()
            assert closed.round == closed.first == 0
            assert closed.credited.tolist() == [1]
            with pytest.raises(UploadRefused, match="round 0 is closed"):
                server.receive(upload_of(key, user=2))
        assert server.publish().credited.tolist() == [1]
        server.receive(upload_of(key, round=1, user=2))  # the next round is open

    @pytest.mark.parametrize("scheme", ["packed", "elementwise"])
    def test_its_memory_holds_no_private_key(self, scheme):
        evaluator, key, zeros = setting_of(scheme)
        server = Server(evaluator, zeros, MEMBERS)
        server.receive(upload_of(key, user=1))
        state, holder = pickle.dumps(server), pickle.dumps(key)
        for secret in array_to_numbers(key.secrets()["primes"]):
            as_bytes = int(secret).to_bytes(64, "little")
            assert as_bytes in holder  # the search would find it
            assert as_bytes not in state
            assert as_bytes[::-1] not in state
