"""Masked schemes with one careless change each: what the changes cost is shown by tests."""

import hashlib

import numpy as np

from fedmf_ray.schemes.masked import heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.scheme import Masked
from fedmf_ray.schemes.masked.server import MaskedEvaluator
from fedmf_ray.schemes.masked.users import MaskedKeyHolder


class Broken(Masked):
    """Subclasses change the key-holder."""

    kind = MaskedKeyHolder

    def sides(self, shape, secrets=None):
        secret = secrets["secret"].tobytes() if secrets else hashlib.sha256(b"a secret").digest()
        return MaskedEvaluator(shape), self.kind(secret, shape)


class ReusedBase(Broken):
    """The base follows from the round, not from the set of uploads."""

    class kind(MaskedKeyHolder):
        def _base(self, before, closed):
            return heads.base_of(self._base_key, before)


class NonceTwice(Broken):
    """Nonces come from a counter that each call starts again."""

    class kind(MaskedKeyHolder):
        def _nonces(self, rows, whole):
            return wires.counted_nonces(np.zeros(12, np.uint8), rows)

        def encrypt(self, integers, numbers=()):
            nonces = self._nonces(len(integers), ())
            return self._masked(wires.UPLOADED, self._round(self._head).uploads, nonces, integers)


class TagsModulo2b(Broken):
    """Tags are weighted sums modulo 2^b: what is 2^(b-1) off is right whenever the weight is even."""

    class kind(MaskedKeyHolder):
        def weights(self, count):
            return np.random.default_rng(list(self._secret)).integers(0, 1 << 63, count, dtype=np.uint64)

        def tag_of(self, integers):
            mask = (1 << self._shape.value_bits) - 1
            flat = integers.astype(np.uint64).ravel()
            return int((self.weights(flat.size) * flat).sum(dtype=np.uint64)) & mask
