"""Servers that close more or fewer blocks than a round has: whether they are opened must tell nothing. An
outside attacker found that it did."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.rules import RULES
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.schemes import Committee, Masked
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.tables import Column, SparseRows, Table
from tests.support.small_protocol import Federation, agreed_terms


def opens(federation, closed):
    try:
        return federation.ledger.open([closed])
    except TamperedError:
        return None


def shortened(closed, rows):
    """Closed sums that say they have only so many rows: public values alone."""
    sums = closed.sums
    kept = int(sums.counts[:rows].sum())
    less = dataclasses.replace(
        sums,
        start=sums.start[:rows],
        totals=sums.totals[:rows],
        counts=sums.counts[:rows],
        nonces=sums.nonces[:kept],
    )
    return dataclasses.replace(closed, sums=less)


class TestASetWithFewerRows:
    """`masked`, full text, the server alone, no key."""

    def alone(self, user):
        """The census of item_item: the sum of one user's upload, closed."""
        federation = Federation(Masked(), agreed_terms("item_item", sparsity=0.0))
        uploads = federation.uploads()
        federation.deliver(uploads[user : user + 1])
        return federation, uploads, federation.servers[0].close()

    @pytest.mark.parametrize("user", range(5))
    def test_whether_it_is_opened_does_not_say_what_a_user_rated(self, user):
        federation, _, closed = self.alone(user)
        last = int(federation.users.train.part(user, user + 1).items.max())
        said = [opens(federation, shortened(closed, rows)) is not None for rows in range(1, 9)]
        assert not any(said), f"accepted with {said.index(True) + 1} rows: user rated up to row {last}"

    def test_the_round_does_not_go_on_as_if_nothing_had_happened(self):
        """The opener keeps no memory: the server asks, says that it died, and publishes an honest sum."""
        found = []
        for user in range(5):
            federation, uploads, closed = self.alone(user)
            last = int(federation.users.train.part(user, user + 1).items.max())
            if last == 8:
                continue
            if opens(federation, shortened(closed, last + 1)) is None:
                continue
            federation.start_servers()
            federation.deliver(uploads)
            federation.publish()
            federation.open()  # no user notices
            found.append(user)
        assert not found, "the server knows that these users rated none of the last rows, and nobody noticed"


ROUND, PASSING = 1, "passing sums"


@dataclasses.dataclass(frozen=True)
class Passing(RULES.get("batch")):
    """A fresh table that is there in round 1 alone."""

    def shared(self, setting):
        point = FixedPoint(0, 1000, 100, setting.point.contributors)
        return (Table(PASSING, 1, (Column("sums", 4, point, "fresh"),), ROUND, ROUND + 1),)

    def passing(self, table, vectors, items, block, setting):
        return SparseRows.of([(np.array([0]), np.full((1, 4), 3.0))] * len(vectors), 4)


class TestBlocksThatShouldBeGone:
    """The server keeps a block of the round before, less a guess of what it holds."""

    def guessed(self, scheme, off):
        """Whether the set is opened. The sums were 5 * 3."""
        federation = Federation(scheme, agreed_terms(Passing(), sparsity=1.0))
        federation.play()
        federation.play()
        assert federation.items.shared[PASSING].tolist() == [[15.0] * 4]
        (message,), layout = federation.messages, BitLayout.of(federation.terms.blocks.shape)
        federation.deliver(federation.uploads())
        closed = federation.servers[0].close()
        assert len(closed.sums.start) == 9
        assert len(message.ciphertexts) == 10
        gone = message.ciphertexts[9:, 0]
        words, packed = layout.unpack(gone[:, 13:]) - layout.word.type(15 + off), gone[:, 13:].copy()
        layout.pack(words, packed)
        sums = closed.sums
        more = dataclasses.replace(
            sums,
            start=np.concatenate([sums.start, gone[:, :13]]),
            totals=np.concatenate([sums.totals, packed]),
            counts=np.append(sums.counts, np.uint32(0)),
        )
        return opens(federation, dataclasses.replace(closed, sums=more)) is not None

    @pytest.mark.parametrize("scheme", [Masked(), Committee()], ids=["masked", "committee"])
    def test_a_right_guess_is_refused_like_a_wrong_one(self, scheme):
        assert not self.guessed(scheme, 1)
        assert not self.guessed(scheme, 0), "a guess of sums has been confirmed by the opener"
