"""Tags that add up like what they are for: what users hold published tables against.

:class:`Authenticator` is what a scheme's users need, whatever numbers its tags are. The Paillier schemes have
one that binds ciphertexts (:mod:`fedmf_ray.schemes.paillier.macs`). :class:`PlaintextAuthenticator` is for
schemes whose protected rows change while they are added up.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import EncryptedItems

Wire = NDArray[np.uint8]

INITIAL = -1
"""What stands for user and round in the label of the tag under the very first tables."""

_STATISTICAL_BYTES = 16
"""Longer than n by 128 bits before reduction: uniform to within 2**-128."""


class Authenticator(ABC):
    """A user's side of tags. What it weighs, pads and reads are numbers of one group.

    modulus: that of the numbers.
    """

    modulus: mpz

    @abstractmethod
    def start(self, firsts: Sequence[int]) -> list[mpz]:
        """What users have been told of each server, named by its first block, before the first round."""

    @abstractmethod
    def join(self, numbers: Sequence[mpz]) -> mpz:
        """What several numbers are together; of none, the neutral one."""

    @abstractmethod
    def read(self, message: EncryptedItems) -> mpz:
        """The number in the tag of published tables. Raises ``ValueError`` or ``OverflowError`` for what is
        none."""

    @abstractmethod
    def pads(self, message: EncryptedItems, which: slice) -> mpz:
        """The pads of some of the users that a message credits, joined."""


class PlaintextAuthenticator(Authenticator):
    """Tags of what uploads hold: the protected number

        sum over its plaintexts of weight(position) * plaintext + pad(user, round, range of rows)   (mod n),

    with pseudorandom weights and pads modulo n from a key that only users have. A server that adds anything
    else than it says, without knowing the weights, is right with probability about 1/n. But rows of zeros
    change no tag: a server that leaves one out learns from whether the round is accepted that it held zeros.

    secret: bytes that only users have. modulus: n; forging is as likely as guessing modulo its smallest prime
    factor. number: one protected tag, (bytes,) uint8, to the number modulo n in it.
    """

    def __init__(self, secret: bytes, modulus: int, number: Callable[[Wire], mpz]) -> None:
        self._secret, self.modulus, self._number_in = secret, mpz(modulus), number
        self._width = -(-int(self.modulus).bit_length() // 8)
        self._weights: dict[tuple[int, int], list[mpz]] = {}

    def start(self, firsts: Sequence[int]) -> list[mpz]:
        return [self.pad(INITIAL, INITIAL, first) for first in firsts]

    def join(self, numbers: Sequence[mpz]) -> mpz:
        return sum(numbers, mpz(0)) % self.modulus

    def read(self, message: EncryptedItems) -> mpz:
        assert message.tag is not None
        return self._number_in(message.tag) % self.modulus

    def pads(self, message: EncryptedItems, which: slice) -> mpz:
        users = message.credited[which].tolist()
        return self.join([self.pad(user, message.round - 1, message.first) for user in users])

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
