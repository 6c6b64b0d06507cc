"""Ten thousand malformed uploads: no crash, nothing added, and honest users still get in."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.protocol.combiner import Combiner, deliver
from fedmf_ray.protocol.messages import NOBODY, EncryptedItems, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server, UploadRefused
from fedmf_ray.schemes import Known, Piece, Shape
from fedmf_ray.schemes.numbers import array_to_numbers
from tests.support.small_protocol import sides

BLOCKS, COLUMNS, STEP = 8, 3, 1 << 18


class Boundary:
    """A scheme, an encrypted matrix of zeros, an honest upload of user 1, and ways to spoil it."""

    def __init__(self, scheme, seed):
        self.random = np.random.default_rng(seed)
        self.evaluator, self.key = sides(scheme, Shape(COLUMNS, 26))
        zeros, steps, blocks = np.zeros((BLOCKS, COLUMNS), np.int64), np.full((3, COLUMNS), STEP), [1, 4, 6]
        if self.key.keeps_heads:
            begun = self.key.begin(0, zeros, NOBODY)
            self.items = EncryptedItems(0, 0, begun.sums, begun.tags, NOBODY, begun.head, begun.proof)
        else:
            whole = Piece(-1, 0, 0, BLOCKS)
            wire, tags = self.key.protect(-1, zeros, np.arange(BLOCKS), [whole], {}, True)
            self.items = EncryptedItems(0, 0, wire, tags[0] if tags else None, NOBODY)
        heads, piece = {0: self.items.head}, Piece(1, 0, 0, 3)
        sent, tags = self.key.protect(0, steps, np.array(blocks), [piece], heads, False)
        tag = tags[0] if tags else None
        self.honest = Upload(0, 1, np.array(blocks), sent, tag, self.items.head)
        secrets = self.key.secrets()
        self.primes = array_to_numbers(secrets["primes"]) if "primes" in secrets else None

    def roster(self):
        return Roster(np.array([1, 2]), np.array([3, 3]))

    def spoiled(self):
        """The honest upload with one field, or several, turned into something else."""
        changes = {}
        fields = ["round", "user_id", "blocks", "ciphertexts", "tag", "head"]
        for field in self.random.choice(fields, self.random.integers(1, 3), replace=False):
            changes[str(field)] = getattr(self, f"bad_{field}")()
        return dataclasses.replace(self.honest, **changes)

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def bad_round(self):
        return self.pick(1, -1, 10**30, None, "0", 0.5, float("nan"), [0], np.array([0, 0]))

    def bad_user_id(self):
        return self.pick(0, 3, -1, 10**30, None, "1", 1.0, float("nan"), [1], b"1", True)

    def bad_head(self):
        return self.pick(
            b"x", self.honest.head[:-1] + b"\0" + b"x", None, "x", 5, np.zeros(32, np.uint8), [0]
        )

    def bad_blocks(self):
        good = self.honest.blocks
        return self.pick(
            good[::-1].copy(), good[:2], np.array([1, 1, 4]), np.array([1, 4, BLOCKS]), np.array([-1, 4, 6]),
            good.astype(np.int32), good.astype(float), good.astype(object), good[None], None, "x",
            np.array([1, 4, 2**62]), np.array([1, 4, -(2**63)]), np.array([]), np.array([np.nan, 1, 2]),
            np.array(["a", "b", "c"]), np.array(1), np.arange(10**4),
        )  # fmt: skip

    def bad_ciphertexts(self):
        good = self.honest.ciphertexts
        if self.random.random() < 0.5:
            return self.pick(
                good[:2], good[..., :-1], good[..., None], good.astype(np.uint16), good.astype(object), None,
                good.tolist(), good.ravel(), b"", np.zeros((3, 0, 0), np.uint8), good.view(np.int8), "x",
            )  # fmt: skip
        if self.key.keeps_heads:
            bad = good.copy()
            if self.random.random() < 0.5:
                bad[self.random.integers(3), 0, 0] = self.pick(0, 2, 3, 254, 255)  # no upload's kind
            else:
                bad[2, 0, 1:13] = bad[self.random.integers(2), 0, 1:13]
            return bad
        if self.primes is None:
            return good[:1]
        n = self.primes[0] * self.primes[1]
        number = self.pick(0, n * n, n * n + 1, n, self.primes[0], 5 * self.primes[1], n * n - n, 2**2048 - 1)
        bad = good.copy()
        at = tuple(self.random.integers(0, size) for size in bad.shape[:2])
        bad[at] = np.frombuffer(
            (number % 2 ** (8 * bad.shape[-1])).to_bytes(bad.shape[-1], "little"), np.uint8
        )
        return bad

    def bad_tag(self):
        if self.honest.tag is None:
            return self.pick(b"", self.honest.ciphertexts[0], 5, "x")
        good = self.honest.tag
        zero, full = np.zeros_like(good), np.full_like(good, 255)
        if self.key.keeps_heads:
            zero = good[1:]  # zero is a number modulo p
        return self.pick(None, good[:-1], good[None], good.astype(float), zero, full, good.tolist(), "x", 5)


def attack(boundary, count):
    """So many spoiled uploads at every boundary that takes uploads; the wires must not change."""
    server = Server(boundary.evaluator, boundary.items, boundary.roster())
    combiner = Combiner(boundary.evaluator, boundary.items, boundary.roster())
    actor = ServerActor(boundary.evaluator, boundary.items, boundary.roster())
    halves = [
        Server(boundary.evaluator, dataclasses.replace(boundary.items, first=first, ciphertexts=part), roster)
        for first, part, roster in (
            (0, boundary.items.ciphertexts[:4], Roster(np.array([1, 2]), np.array([1, 1]))),
            (4, boundary.items.ciphertexts[4:], Roster(np.array([1, 2]), np.array([2, 2]))),
        )
    ]
    for _ in range(count):
        bad = boundary.spoiled()
        for receiver in (server, combiner):
            with pytest.raises(UploadRefused) as refused:
                receiver.receive(bad)
            assert "\n" not in str(refused.value)
        receipt = actor.receive([bad])
        assert receipt.added == 0
        # The first server gets an honest piece, the second a spoiled one: neither may keep it.
        good = boundary.honest
        honest = dataclasses.replace(good, blocks=good.blocks[:1], ciphertexts=good.ciphertexts[:1])
        with pytest.raises(UploadRefused):
            deliver([honest, bad], halves)
    for half in halves:
        assert half.added.tolist() == []
    before = Server(boundary.evaluator, boundary.items, boundary.roster()).publish()
    after = server.publish()
    assert np.array_equal(after.ciphertexts, before.ciphertexts)
    assert after.credited.tolist() == []
    if after.tag is not None:
        assert np.array_equal(after.tag, before.tag)
    joined = np.concatenate([half.publish().ciphertexts for half in halves])
    assert np.array_equal(joined, before.ciphertexts)
    assert len(combiner.finish().user_ids) == 0
    assert actor.receive([boundary.honest]).added == 1
    _, _, added = actor.close()
    closed = actor._server.close()  # with the sums, which members of a committee do not get
    if boundary.key.keeps_heads:  # who opens has read what opened the round
        boundary.key.read(boundary.items, np.arange(len(boundary.items.ciphertexts)))
    known = Known(0, {0: boundary.items.head}, NOBODY, 1, 2)
    openings = boundary.key.open([closed], known) if boundary.key.keeps_heads else [None]
    message, _ = actor.publish(*openings)
    assert added == 1
    assert boundary.key.decrypt(message.ciphertexts)[boundary.honest.blocks].sum() == STEP * 3 * COLUMNS


@pytest.mark.parametrize("scheme", ["packed", "plain", "masked", "committee"])
def test_malformed_uploads_are_refused_and_change_nothing(scheme):
    attack(Boundary(scheme, seed=1), 250)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scheme", ["packed", "plain", "elementwise", "masked", "committee"])
def test_ten_thousand_malformed_uploads(scheme, seed):
    """Sixteen times 900, at four boundaries each."""
    attack(Boundary(scheme, seed=100 + seed), 900)
