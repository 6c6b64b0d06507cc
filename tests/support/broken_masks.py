"""Masked schemes with one careless change each: what the changes cost is shown by tests."""

import hashlib

import numpy as np

from fedmf_ray.schemes.masked import streams
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
    """Masks of tables follow from the round, not from the set of uploads."""

    class kind(MaskedKeyHolder):
        def open(self, closed, known=None):
            self._before = closed[0].head
            return super().open(closed, known)

        def _table_nonces(self, head, blocks):
            return self._round(getattr(self, "_before", b"")).table_nonces(blocks)

        def _check_nonces(self, found, head, blocks):
            pass


class NoPrints(Broken):
    """Tags bind values alone, not which masked rows stand for them."""

    class kind(MaskedKeyHolder):
        def _printed(self, rounds, nonces, blocks, pieces, full_text):
            return [0] * len(pieces)

        def _prints_of(self, closed):
            return 0


class AnyNonces(Broken):
    """Rows of tables have random nonces, which readers and openers do not expect."""

    class kind(MaskedKeyHolder):
        def _table_nonces(self, head, blocks):
            return streams.fresh_nonces(len(blocks))

        def _check_nonces(self, found, head, blocks):
            pass


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
            mask = (1 << self.shape.value_bits) - 1
            flat = integers.astype(np.uint64).ravel()
            return int((self.weights(flat.size) * flat).sum(dtype=np.uint64)) & mask
