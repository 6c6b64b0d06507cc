"""Tags that add up like ciphertexts: users notice a server that adds anything but what it says it added.

The server holds no key and cannot read what it adds, but it could add an upload twice, replay one of an
earlier round, swap rows, or leave some out. So each upload carries a tag, the encryption of

    sum over its plaintexts of weight(position) * plaintext + pad(user, round, range of rows)   (mod n),

where weights and pads are pseudorandom numbers modulo n from a key that only users have. The server adds
tags as it adds uploads and says whose uploads it added. The plaintext of the sum of tags must then be the
weighted sum of the item matrix plus the pads of exactly those users and rounds. Each upload's pad is used
once and hides its weighted sum; a server that adds anything else, without knowing the weights, is right
with probability about 1/n. (A linearly homomorphic authenticator in the sense of Catalano and Fiore,
EUROCRYPT 2013, for sums; users who share a key trust each other, as everywhere in this protocol.)

It costs one more ciphertext an upload, however many rows that has, and one product modulo n for each
ciphertext of the item matrix that is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

Wire = NDArray[np.uint8]

_STATISTICAL_BYTES = 16
"""Longer than n by 128 bits before reduction: uniform to within 2**-128."""


class Authenticator:
    """A user's side: makes tags, and says what the sum of tags should be.

    secret: bytes that only users have. modulus: n; forging is as likely as guessing modulo its smallest prime
    factor. read: one tag on the wire, (bytes,) uint8, to the number modulo n in it.
    """

    def __init__(self, secret: bytes, modulus: int, read: Callable[[Wire], mpz]) -> None:
        self._secret, self.modulus, self.read = secret, mpz(modulus), read
        self._width = -(-int(self.modulus).bit_length() // 8)
        self._weights: dict[tuple[int, int], list[mpz]] = {}

    @classmethod
    def of_primes(cls, primes: tuple[int, int], read: Callable[[Wire], mpz]) -> Authenticator:
        """Modulo n = p*q, under a secret that is derived from the private key p, q."""
        smaller, larger = sorted(map(int, primes))
        text = b"".join(prime.to_bytes(-(-prime.bit_length() // 8), "little") for prime in (smaller, larger))
        return cls(hashlib.sha256(b"fedmf-ray tags" + text).digest(), smaller * larger, read)

    def tag(self, blocks: NDArray[np.int64], plaintexts: Sequence[mpz], *label: int) -> mpz:
        """The number to encrypt as the tag of (k,) blocks with k * m plaintexts, under a label used once."""
        return (self.weigh(blocks, plaintexts) + self.pad(*label)) % self.modulus

    def weigh(self, blocks: NDArray[np.int64], plaintexts: Sequence[mpz]) -> mpz:
        """The weighted sum of plaintexts modulo n."""
        per_block = len(plaintexts) // max(1, len(blocks))
        total, at = mpz(0), 0
        for block in blocks.tolist():
            for weight in self._weights_of(block, per_block):
                total += weight * plaintexts[at]
                at += 1
        return total % self.modulus

    def pad(self, *label: int) -> mpz:
        """The pseudorandom number that hides the tag with this label."""
        return self._number(b"pad", label)

    def _weights_of(self, block: int, per_block: int) -> list[mpz]:
        key = (block, per_block)
        if key not in self._weights:
            self._weights[key] = [self._number(b"weight", (block, at)) for at in range(per_block)]
        return self._weights[key]

    def _number(self, purpose: bytes, label: Sequence[int]) -> mpz:
        text = self._secret + purpose + b"".join(part.to_bytes(8, "little", signed=True) for part in label)
        digest = hashlib.shake_256(text).digest(self._width + _STATISTICAL_BYTES)
        return mpz.from_bytes(digest, "little") % self.modulus
