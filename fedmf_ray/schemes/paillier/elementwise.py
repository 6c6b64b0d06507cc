"""``phe`` as the authors' prototype uses it: one value, one ciphertext, the public key's operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gmpy2 import mpz
from phe.paillier import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey

from fedmf_ray.schemes.base import Aggregate, Evaluator, Integers, Secrets, Tags, Wire
from fedmf_ray.schemes.numbers import numbers_to_array
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier.macs import CiphertextAuthenticator, CiphertextTags, PaillierKeyHolder


class ElementwiseKeyHolder(PaillierKeyHolder):
    """``phe`` as the authors' prototype uses it: one value, one encryption with the public key."""

    def __init__(
        self, public: PaillierPublicKey, private: PaillierPrivateKey, columns: int, nonce: bytes
    ) -> None:
        """columns: values of a row."""
        self._public, self._private, self._columns, self.nonce = public, private, columns, nonce

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        if len(numbers):
            raise ValueError("tags are made by `protect`")
        wire = np.zeros((*integers.shape, _ciphertext_bytes(self._public)), np.uint8)
        for row, values in zip(wire, integers, strict=True):
            encrypted = (self._public.encrypt(int(q)) for q in values)
            row[:] = paillier.serialise((mpz(e.ciphertext(be_secure=False)) for e in encrypted), row.shape)
        return wire

    def decrypt(self, wire: Wire) -> Integers:
        integers = np.empty(wire.shape[:2], np.int64)
        for row, ciphertexts in zip(integers, wire, strict=True):
            numbers = (EncryptedNumber(self._public, int(c)) for c in paillier.parse(ciphertexts))
            row[:] = [self._private.decrypt(e) for e in numbers]
        return integers

    def secrets(self) -> Secrets:
        return {"primes": numbers_to_array([self._private.p, self._private.q])}

    @cached_property
    def authenticator(self) -> CiphertextAuthenticator:  # type: ignore[override]
        return CiphertextAuthenticator((self._private.p, self._private.q), self._columns, self.nonce)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._public, self._private, self._columns, self.nonce)


class ElementwiseEvaluator(Evaluator):
    """Adds with ``phe``'s own operator."""

    def __init__(self, public: PaillierPublicKey) -> None:
        self._public = public

    def aggregate(self, wire: Wire) -> ElementwiseAggregate:
        return ElementwiseAggregate(self._public, wire)

    def tags(self, tag: Wire) -> Tags:
        return CiphertextTags(self, tag, self._public.n)

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return paillier.ones(shape)

    def negate(self, wire: Wire) -> Wire:
        return paillier.invert(wire, mpz(self._public.nsquare))


class ElementwiseAggregate(Aggregate):
    repeats = True

    def __init__(self, public: PaillierPublicKey, wire: Wire) -> None:
        self._public, self._shape = public, wire.shape
        self._n, self._n_square = mpz(public.n), mpz(public.nsquare)
        self._sums = self._read(wire)

    def add(self, rows: Integers, wire: Wire) -> None:
        targets = (rows[:, None] * self._shape[1] + np.arange(self._shape[1])).ravel()
        for at, number in zip(targets.tolist(), self._read(wire), strict=True):
            self._sums[at] = self._sums[at] + number

    def wire(self) -> Wire:
        # be_secure=False: a sum of fresh ciphertexts is already random, blinding it again buys nothing.
        return paillier.serialise((mpz(e.ciphertext(be_secure=False)) for e in self._sums), self._shape)

    def _read(self, wire: Wire) -> list[Any]:
        numbers = paillier.parse(wire)
        paillier.check_ciphertexts(numbers, self._n, self._n_square)
        return [EncryptedNumber(self._public, int(c)) for c in numbers]


def _ciphertext_bytes(public: PaillierPublicKey) -> int:
    return -(-int(public.nsquare).bit_length() // 8)
