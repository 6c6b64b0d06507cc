"""Schemes that claim more than they keep. Most are the padded toy with one careless change."""

import hashlib
import os
from typing import ClassVar

import numpy as np

from fedmf_ray.schemes import Plain, Reads
from tests.support.padded_scheme import NO_NONCE, VALUE_BYTES, Padded, PaddedEvaluator, PaddedKeyHolder


class Readable(Plain):
    """Integers as they are."""

    name = "readable"
    server_reads = Reads.ROWS


class Careless(Padded):
    """Not opened, so that what is protected is all that there is to see. Subclasses change the key-holder."""

    opens = False
    kind: ClassVar[type] = PaddedKeyHolder

    def holder(self, secret):
        return self.kind(secret)


class FixedPad(Careless):
    """Every value has the same pad."""

    class kind(PaddedKeyHolder):
        def nonce(self):
            return b"the same nonce!!"


class FixedPadUnderNonces(Careless):
    """The same, and nonces that only look well."""

    class kind(PaddedKeyHolder):
        def pad(self, nonce):
            return super().pad(b"another")


class BuiltInPad(Careless):
    """Pads from a key in the source text."""

    class kind(PaddedKeyHolder):
        def pad(self, nonce):
            return int.from_bytes(hashlib.sha256(b"key" + nonce).digest()[:VALUE_BYTES], "little")


class Deterministic(Careless):
    """A cipher that gives equal values equal bytes."""

    class kind(PaddedKeyHolder):
        def _protect(self, value):
            factor = int.from_bytes(self._secret[:8], "little") | 1
            return 1, NO_NONCE, value * factor + int.from_bytes(self._secret[8:16], "little")


class DeterministicUnderNonces(Careless):
    """The same, and nonces."""

    class kind(PaddedKeyHolder):
        def _protect(self, value):
            factor = int.from_bytes(self._secret[:8], "little") | 1
            return 1, os.urandom(16), value * factor


class LowByte(Careless):
    """The sign, which is always 1, gives the lowest byte away."""

    class kind(PaddedKeyHolder):
        def _protect(self, value):
            _, nonce, padded = super()._protect(value)
            return (value & 0xFF) - 128, nonce, padded


class LowBit(Careless):
    """Nonces are odd where the value is."""

    class kind(PaddedKeyHolder):
        def _protect(self, value):
            nonce = bytearray(os.urandom(16))
            nonce[5] = nonce[5] & 0xFE | value & 1
            return 1, bytes(nonce), value + self.pad(bytes(nonce))


class OnePadPerRow(Careless):
    """The columns of a row share a pad."""

    class kind(PaddedKeyHolder):
        def encrypt(self, integers, numbers=()):
            wires = []
            for row in integers:
                self._row = os.urandom(8)
                wires.append(super().encrypt(row[None], ()))
            return np.concatenate(wires)

        def pad(self, nonce):
            return super().pad(self._row)


class _Counting(PaddedKeyHolder):
    """Pads from a counter, of which the nonces say nothing."""

    step = 1

    def __init__(self, secret):
        super().__init__(secret)
        self._count = 0

    def pad(self, nonce):
        self._count += 1
        return super().pad(b"%d" % (self._count // self.step))


class CounterThatStartsAgain(Careless):
    """Each copy of a key-holder counts from the beginning."""

    kind = _Counting


class PadsForTwoRows(Careless):
    """A pad lasts for some rows on end, and copies do not share any."""

    class kind(_Counting):
        def __init__(self, secret):
            super().__init__(secret)
            self._mine = os.urandom(8)

        def pad(self, nonce):
            self._count += 1
            row, column = divmod(self._count, 2)
            return PaddedKeyHolder.pad(self, self._mine + b"%d %d" % (row // 2, column))


class ServerWithSecret(Padded):
    """The server's side has been given the users' secret."""

    def sides(self, shape, secrets=None):
        _, key = super().sides(shape, secrets)
        return _Knowing(key._secret[::-1]), key


class _Knowing(PaddedEvaluator):
    def __init__(self, known):
        self.known = known


class ServerWithKeyHolder(Padded):
    """The server's side has been given a key-holder."""

    def sides(self, shape, secrets=None):
        _, key = super().sides(shape, secrets)
        return _Knowing(key), key


class SecretOfServer(Careless):
    """Key-holders read with what the server's side holds, and call something else their secret."""

    def sides(self, shape, secrets=None):
        evaluator = _Knowing(hash_of(secrets["secret"].tobytes() if secrets else os.urandom(32)))
        return evaluator, _Asking(os.urandom(32), evaluator)


class _Asking(PaddedKeyHolder):
    def __init__(self, secret, evaluator):
        super().__init__(secret)
        self._evaluator = evaluator

    def pad(self, nonce):
        return int.from_bytes(hash_of(self._evaluator.known + nonce)[:VALUE_BYTES], "little")

    def __reduce__(self):
        return type(self), (self._secret, self._evaluator)


def hash_of(text):
    return hashlib.sha256(text).digest()


class OpenSums(Padded):
    """Sums have no pad any more once they have been opened."""

    class kind(PaddedKeyHolder):
        def _open(self, sums):
            return sums and [(NO_NONCE, delta - self.pad(nonce)) for nonce, delta in super()._open(sums)]

    def holder(self, secret):
        return self.kind(secret)


class OpenSumsAdmitted(OpenSums):
    """The same, and says so."""

    server_reads = Reads.SUMS


class Silence(Padded):
    """Says that its server reads nothing."""

    server_reads = Reads.NOTHING


class Broken(Padded):
    """Fails before anything can be found out."""

    name = "broken"

    def sides(self, shape, secrets=None):
        raise RuntimeError("two\nlines")


LIARS = {
    Readable: "other secrets|no secrets",
    FixedPad: "same bytes twice",
    FixedPadUnderNonces: "told apart: what a key-holder protects .byte",
    BuiltInPad: "a key-holder with other secrets reads",
    Deterministic: "same bytes twice",
    DeterministicUnderNonces: "told apart: what a key-holder protects .byte",
    LowByte: "told apart: what a key-holder protects .byte 0",
    LowBit: r"told apart: what .* protects .byte (6|39)\)",
    OnePadPerRow: "and the one 33 further on",
    CounterThatStartsAgain: "told apart: the difference of what .* and .* protect",
    PadsForTwoRows: "told apart: the difference of two rows of",
    ServerWithSecret: "holds the users' secret 'secret'",
    ServerWithKeyHolder: "server's side holds a key-holder",
    SecretOfServer: "reads through the server's side",
    OpenSums: "told apart: sums once they are opened",
    Silence: "uploads name their blocks",
}
"""With what is found out first. Where both columns give it away, chance decides which is named."""
