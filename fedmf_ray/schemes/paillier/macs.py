"""MACs of ciphertexts that multiply as ciphertexts do: users notice a server that adds anything but what it
says it added, and learn so without decrypting anything.

The server holds no key and cannot read what it adds, but it could add an upload twice, replay one of an
earlier round, swap rows, or leave some out. So each upload carries a tag, the number

    product over its ciphertexts of c**weight(position) * pad(user, round, range of rows, nonce)   (mod p**2)

where weights (odd, 64 bits) and pads are pseudorandom from a key that only users have. The server multiplies
tags as it multiplies ciphertexts, and says whose uploads it added and under which nonces. The product of tags
must then be the weighted product of the published ciphertexts times those pads. On the wire a tag is a number
modulo n**2, random modulo q**2: a server that told the two apart would know the factors of n.

No pad may hide two products. So a nonce travels with the tag: normally one that was drawn when the keys were
made or read from a checkpoint; a fresh one for an upload that may have been made before, by a user who was
restored or is asked again.

A tag binds ciphertexts, not what they hold. What a server changes is a factor F for each published ciphertext
and one for the product of tags, all of which it knows; they pass if the product of F**weight is the latter.
Whether they do is the same for every plaintext. So whether a round is accepted tells a server nothing about
rows: not whether a row that it leaves out holds zeros, nor whether a guess in its place is right. A factor
that changes plaintexts has an order that p divides (or else gives the factors of n away) and passes for one
weight of 2**63. Weights are odd, so that -1, the one element of small order that everybody knows, says
nothing about them. docs/threat-model.md has the whole argument. (After Catalano and Fiore, EUROCRYPT 2013,
whose authenticators are for plaintexts.)
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import EncryptedItems
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.sides import Integers, KeyHolder, Piece, Wire
from fedmf_ray.schemes.sums import Aggregate, Evaluator, Tags
from fedmf_ray.schemes.tags import INITIAL, Authenticator

NONCE_BYTES = 8
"""A nonce must not come twice for one user and round, which may be repeated after failures: a few draws."""

_PLACE_BYTES = 4

_CHUNK = 1024
"""Weights that are made at once."""

_STATISTICAL_BYTES = 16
"""Longer than p**2 by 128 bits before reduction: uniform to within 2**-128."""


class CiphertextAuthenticator(Authenticator):
    """A user's side. Numbers are modulo the square of the smaller prime, and are joined by products."""

    def __init__(self, primes: tuple[int, int], pieces: int, nonce: bytes) -> None:
        """pieces: ciphertexts of a block. nonce: of uploads that were certainly not made before."""
        p, q = sorted(map(mpz, primes))
        text = b"".join(int(prime).to_bytes(-(-prime.bit_length() // 8), "little") for prime in (p, q))
        self._secret = hashlib.sha256(b"fedmf-ray macs 1" + text).digest()
        self._p, self.modulus, self._other, self._pieces = p, p * p, q * q, pieces
        self._inverse = gmpy2.invert(self.modulus, self._other)
        self._bytes = 2 * (-(-(p * q).bit_length() // 8))
        self._pad_bytes = -(-self.modulus.bit_length() // 8) + _STATISTICAL_BYTES
        self._weights: dict[int, NDArray[np.uint64]] = {}
        self._nonce, self._careful = nonce, False
        self._round, self._labels, self._fresh_only = INITIAL, set[tuple[int, ...]](), False

    def be_careful(self) -> None:
        """What is tagged in the next round may have been tagged before."""
        self._careful = True

    def _nonce_of(self, user_id: int, round_number: int, first: int) -> bytes:
        label = user_id, first
        if round_number != self._round:
            self._fresh_only = self._careful or round_number < self._round
            self._round, self._labels, self._careful = round_number, set(), False
        unsure = self._fresh_only or label in self._labels or user_id == INITIAL
        self._labels.add(label)
        return os.urandom(NONCE_BYTES) if unsure else self._nonce

    def start(self, firsts: Sequence[int]) -> list[mpz]:
        return [mpz(1)] * len(firsts)

    def join(self, numbers: Sequence[mpz]) -> mpz:
        product = mpz(1)
        for number in numbers:
            product = product * number % self.modulus
        return product

    def tag(self, blocks: Integers, wire: Wire, *label: int) -> Wire:
        """(bytes,) the tag of blocks, (k,), with ciphertexts (k, pieces, bytes). label: user, round and the
        first block of the server; the same one may come again. The initial tables' is as published."""
        nonce = self._nonce_of(*label)
        number = self.weigh(blocks, wire) * self.pad(nonce, *label) % self.modulus
        unit = mpz(secrets.randbelow(int(self._other) - 1) + 1)
        number += self.modulus * ((unit - number) * self._inverse % self._other)
        rest = listed_nonces([]) if label[0] == INITIAL else b""
        return np.frombuffer(number.to_bytes(self._bytes, "little") + nonce + rest, np.uint8)

    def weigh(self, blocks: Integers, wire: Wire) -> mpz:
        """The product of ciphertexts to their weights."""
        modulus = self.modulus
        numbers = [number % modulus for number in paillier.parse(wire)]
        return paillier.power_product(numbers, self.weights(blocks), modulus)

    def weights(self, blocks: Integers) -> NDArray[np.uint64]:
        """(k * pieces,) of the ciphertexts of blocks."""
        at = (np.asarray(blocks)[:, None] * self._pieces + np.arange(self._pieces)).ravel()
        found = np.empty(len(at), np.uint64)
        for chunk in np.unique(at // _CHUNK).tolist():
            inside = at // _CHUNK == chunk
            found[inside] = self._chunk(chunk)[at[inside] % _CHUNK]
        return found

    def _chunk(self, chunk: int) -> NDArray[np.uint64]:
        if chunk not in self._weights:
            drawn = self._drawn(b"weights", _CHUNK * paillier.WEIGHT_BITS // 8, chunk)
            self._weights[chunk] = np.frombuffer(drawn, "<u8") | np.uint64(1)
        return self._weights[chunk]

    def pad(self, nonce: bytes, *label: int) -> mpz:
        """The pseudorandom number that hides a tag."""
        return mpz.from_bytes(self._drawn(b"pad" + nonce, self._pad_bytes, *label), "little") % self.modulus

    def _drawn(self, purpose: bytes, size: int, *label: int) -> bytes:
        text = self._secret + bytes([len(purpose)]) + purpose
        text += b"".join(part.to_bytes(8, "little", signed=True) for part in label)
        return hashlib.shake_256(text).digest(size)

    def derive(self, purpose: bytes) -> bytes:
        """As of :meth:`KeyHolder.derive`."""
        return hmac.digest(self._secret, purpose, "sha256")

    def read(self, message: EncryptedItems) -> mpz:
        element, initial, _ = self._parts(message)
        number = mpz.from_bytes(element, "little") % self.modulus
        if number % self._p == 0:  # with it, ciphertexts of zero would fit
            raise ValueError("the sum of tags is not a unit")
        pad = self.pad(initial, INITIAL, INITIAL, message.first)
        return number * gmpy2.invert(pad, self.modulus) % self.modulus

    def pads(self, message: EncryptedItems, which: slice) -> mpz:
        nonces, users = self._parts(message)[2][which], message.credited[which].tolist()
        labels = zip(nonces, users, strict=True)
        return self.join([self.pad(one, user, message.round - 1, message.first) for one, user in labels])

    def _parts(self, message: EncryptedItems) -> tuple[bytes, bytes, list[bytes]]:
        """The product of tags, the nonce of the initial tables, and those of the users that are credited."""
        assert message.tag is not None
        tag, size = message.tag.tobytes(), self._bytes
        initial, rest = tag[size : size + NONCE_BYTES], tag[size + NONCE_BYTES :]
        return tag[:size], initial, nonces_in(rest, len(message.credited))


class PaillierKeyHolder(KeyHolder):
    """What both schemes have in common: tags of ciphertexts.

    nonce: of its tags, as a rule; the copies that users have share it.
    """

    authenticator: CiphertextAuthenticator
    nonce: bytes

    def restored(self) -> None:
        self.authenticator.be_careful()

    def protect(
        self,
        round_number: int,
        integers: Integers,
        blocks: Integers,
        pieces: Sequence[Piece],
        heads: Mapping[int, bytes],
        full_text: bool,
    ) -> tuple[Wire, list[Wire]]:
        wire, tag = self.encrypt(integers), self.authenticator.tag
        return wire, [
            tag(blocks[begin:end], wire[begin:end], user_id, round_number, first)
            for user_id, first, begin, end in pieces
        ]

    def weigh(self, blocks: Integers, integers: Integers, wire: Wire) -> mpz:
        """Of ciphertexts alone; integers may be empty."""
        return self.authenticator.weigh(blocks, wire)

    def derive(self, purpose: bytes) -> bytes:
        return self.authenticator.derive(purpose)


class CiphertextTags(Tags):
    """A server's side: multiplies tags, and remembers their nonces until the round is published.

    Tags are checked when they come, and multiplied many at once: kernels work on several numbers at a time.
    """

    def __init__(self, evaluator: Evaluator, tag: Wire, n: int) -> None:
        """tag: of published tables, or of one upload. n: the public key."""
        self._evaluator, self._n, self._square = evaluator, mpz(n), mpz(n) * n
        self._size = size = n.bit_length() // 4
        self.shape = (size + NONCE_BYTES,)
        self._sum: Aggregate = evaluator.aggregate(tag[None, None, :size])
        self._waiting: list[Wire] = []
        self._initial, self._nonces = tag[size : size + NONCE_BYTES].copy(), dict[int, bytes]()

    def add(self, user_id: int, tag: Wire) -> None:
        self.add_all([user_id], [tag])

    def add_all(self, user_ids: Sequence[int], tags: Sequence[Wire]) -> None:
        """One gcd for all: a factor shared with any of them is shared with the product."""
        product = mpz(1)
        for tag in tags:
            number = mpz.from_bytes(tag[: self._size].tobytes(), "little")
            if not 0 < number < self._square:
                raise ValueError(paillier.OUT_OF_RANGE)
            product = product * number % self._n
        if gmpy2.gcd(product, self._n) != 1:
            raise ValueError(paillier.NOT_COPRIME)
        for user_id, tag in zip(user_ids, tags, strict=True):
            self._waiting.append(tag[None, : self._size])
            self._nonces[user_id] = tag[self._size :].tobytes()

    def _product(self) -> Wire:
        """(bytes,) of all that have come."""
        if self._waiting:
            self._sum.add(np.zeros(len(self._waiting), np.int64), np.stack(self._waiting))
            self._waiting = []
        product: Wire = self._sum.wire()[0, 0]
        return product

    def remove(self, user_id: int, tag: Wire) -> None:
        self._sum.add(np.array([0]), self._evaluator.negate(tag[None, None, : self._size]))
        del self._nonces[user_id]

    def wire(self) -> Wire:
        nonces = [self._nonces[user_id] for user_id in sorted(self._nonces)]
        listed = np.frombuffer(listed_nonces(nonces), np.uint8)
        return np.concatenate([self._product(), self._initial, listed])

    def end(self) -> Wire:
        wire = self.wire()
        self._nonces.clear()
        return wire

    def closing(self) -> None:
        """Nobody opens it."""

    def partial(self) -> tuple[Wire, dict[int, bytes]]:
        return self._product(), dict(self._nonces)

    def merge(self, partial: tuple[Wire, dict[int, bytes]]) -> None:
        number, nonces = partial
        self._sum.add(np.array([0]), number[None, None])
        self._nonces |= nonces


def listed_nonces(nonces: Sequence[bytes]) -> bytes:
    """The nonce that most users have, then the others, each after the place of its user."""
    counts = Counter(nonces)
    usual = max(counts, key=counts.__getitem__, default=bytes(NONCE_BYTES))
    others = ((at, nonce) for at, nonce in enumerate(nonces) if nonce != usual)
    return usual + b"".join(at.to_bytes(_PLACE_BYTES, "little") + nonce for at, nonce in others)


def nonces_in(listed: bytes, count: int) -> list[bytes]:
    """Undo :func:`listed_nonces` for so many users. Raises ``ValueError`` for what it never returns."""
    usual, others = listed[:NONCE_BYTES], listed[NONCE_BYTES:]
    each = _PLACE_BYTES + NONCE_BYTES
    if len(usual) < NONCE_BYTES or len(others) % each:
        raise ValueError("is no list of nonces")
    nonces, last = [usual] * count, -1
    for start in range(0, len(others), each):
        at = int.from_bytes(others[start : start + _PLACE_BYTES], "little")
        if not last < at < count:
            raise ValueError("nonces are not those of the users that are credited")
        nonces[at], last = others[start + _PLACE_BYTES : start + each], at
    return nonces
