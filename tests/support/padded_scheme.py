"""A toy scheme whose sums must be opened: every piece is an integer plus a pad that users can take away.

A pad is a pseudorandom number from a secret that users share and a fresh random nonce, which travels with the
piece. The server adds pieces and collects nonces. To open a sum, a user takes its pads away and puts a new
one there. So the server reads neither uploads nor sums, and whoever opens twice reveals no more than once.
"""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from gmpy2 import mpz

from fedmf_ray.protocol.messages import Opening
from fedmf_ray.schemes import Aggregate, Evaluator, KeyHolder, Reads, Scheme
from fedmf_ray.schemes.tags import PlaintextAuthenticator

NONCE_BYTES = VALUE_BYTES = 16
MODULUS = 1 << 8 * VALUE_BYTES
TAG_MODULUS = (1 << 107) - 1
"""A prime: a million tags add up without reduction."""

PIECE = np.dtype([("sign", "i1"), ("nonce", f"V{NONCE_BYTES}"), ("value", f"V{VALUE_BYTES}")])
NO_NONCE = bytes(NONCE_BYTES)
"""Of zeros that anybody can make: no pad."""


@dataclass(frozen=True)
class Padded(Scheme):
    name: ClassVar[str] = "padded"
    server_reads: ClassVar[Reads] = Reads.ROWS
    lightweight: ClassVar[bool] = True
    opens: ClassVar[bool] = True

    def sides(self, shape, secrets=None):
        secret = secrets["secret"].tobytes() if secrets else os.urandom(32)
        return PaddedEvaluator(), self.holder(secret)

    def holder(self, secret):
        return PaddedKeyHolder(secret)

    def block_bytes(self, shape):
        return self.pieces(shape) * PIECE.itemsize

    def tag_bytes(self):
        return PIECE.itemsize


class PaddedKeyHolder(KeyHolder):
    def __init__(self, secret):
        self._secret = secret

    def pad(self, nonce):
        if nonce == NO_NONCE:
            return 0
        return int.from_bytes(hashlib.sha256(self._secret + nonce).digest()[:VALUE_BYTES], "little")

    def nonce(self):
        return os.urandom(NONCE_BYTES)

    def encrypt(self, integers, numbers=()):
        rows = [*integers.tolist(), *([int(number)] + [0] * (integers.shape[1] - 1) for number in numbers)]
        pieces = [[self._protect(value) for value in row] for row in rows]
        return to_wire(pieces, (len(rows), integers.shape[1]))

    def _protect(self, value):
        nonce = self.nonce()
        return 1, nonce, value + self.pad(nonce)

    def decrypt(self, wire):
        numbers = [self.number(*piece) for piece in from_wire(wire)]
        signed = [number - MODULUS if number > MODULUS // 2 else number for number in numbers]
        return np.array(signed, np.int64).reshape(wire.shape[:2])  # raises OverflowError

    def number(self, sign, nonce, value):
        return (value - sign * self.pad(nonce)) % MODULUS

    def open(self, closed, known=None):
        return [Opening(one.round, one.first, self._open(one.sums), self._open(one.tags)) for one in closed]

    def _open(self, sums):
        """For each sum a new nonce, and what to add."""
        if sums is None:
            return None
        nonces = [self.nonce() for _ in sums]
        deltas = [
            self.pad(new) - sum(count * self.pad(nonce) for nonce, count in added.items())
            for new, added in zip(nonces, sums, strict=True)
        ]
        return list(zip(nonces, deltas, strict=True))

    def secrets(self):
        return {"secret": np.frombuffer(self._secret, np.uint8)}

    @cached_property
    def authenticator(self):
        secret = hashlib.sha256(b"tags" + self._secret).digest()
        return PlaintextAuthenticator(secret, TAG_MODULUS, self._read_tag)

    def _read_tag(self, tag):
        (piece,) = from_wire(tag)
        return mpz(self.number(*piece)) % TAG_MODULUS

    def __reduce__(self):
        return type(self), (self._secret,)


class PaddedEvaluator(Evaluator):
    def aggregate(self, wire):
        return PaddedAggregate(wire)

    def zeros(self, shape):
        return np.zeros(shape, np.uint8)

    def negate(self, wire):
        return to_wire([(-sign, nonce, -value) for sign, nonce, value in from_wire(wire)], wire.shape[:-1])


class PaddedAggregate(Aggregate):
    def __init__(self, wire):
        self._shape = wire.shape
        pieces = from_wire(wire)
        self._nonces, self._totals = [Counter() for _ in pieces], [0] * len(pieces)
        self._add(range(len(pieces)), pieces)

    def add(self, rows, wire):
        targets = (rows[:, None] * self._shape[1] + np.arange(self._shape[1])).ravel().tolist()
        self._add(targets, from_wire(wire))

    def _add(self, targets, pieces):
        for at, (sign, nonce, value) in zip(targets, pieces, strict=True):
            self._totals[at] += value
            self._nonces[at][nonce] += sign

    def closing(self):
        return [{nonce: count for nonce, count in added.items() if count} for added in self._nonces]

    def open(self, opening):
        for at, (nonce, delta) in enumerate(opening):
            self._totals[at] += delta
            self._nonces[at] = Counter({nonce: 1})

    def wire(self):
        pieces = []
        for added, total in zip(self.closing(), self._totals, strict=True):
            if len(added) > 1:
                raise RuntimeError("a sum that nobody has opened")
            nonce, sign = next(iter(added.items()), (NO_NONCE, 0))
            pieces.append((sign, nonce, total))
        return to_wire(pieces, self._shape[:-1])


def to_wire(pieces, shape):
    flat = [piece for row in pieces for piece in row] if pieces and isinstance(pieces[0], list) else pieces
    packed = [
        (sign, np.void(nonce), np.void((value % MODULUS).to_bytes(VALUE_BYTES, "little")))
        for sign, nonce, value in flat
    ]
    return np.array(packed, PIECE).view(np.uint8).reshape(*shape, PIECE.itemsize)


def from_wire(wire):
    """(sign, nonce, value) of each piece, in order."""
    pieces = np.ascontiguousarray(wire).reshape(-1, PIECE.itemsize).view(PIECE)[:, 0]
    return [
        (int(sign), nonce.tobytes(), int.from_bytes(value.tobytes(), "little"))
        for sign, nonce, value in pieces
    ]
