"""Every attack on ``masked`` that is known, played: on those who read, with one set of uploads or two."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.schemes import Shape
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.broken_masks import ReusedBase
from tests.support.masked import federation_of, words

SHAPE = Shape(4, 26)


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
        federation, _ = self.spoiled()
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


def two_openings(scheme=None):
    """Of a round with everybody's uploads, and with one upload less, which an honest server never asks
    for."""
    federation = federation_of(scheme=scheme)
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

    def test_under_a_reused_base_it_is_that_users_step(self):
        federation, piece, (one, other) = two_openings(ReusedBase())
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
