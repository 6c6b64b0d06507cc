"""Three ways to protect a matrix behind one interface: ``plain``, ``elementwise``, ``packed``.

========== ============================================ ======================== =====================
scheme     what it is                                   one ciphertext holds     wire bytes
========== ============================================ ======================== =====================
plain      integers, no protection (the paper's         one value                8 a value
           distributed MF)
elementwise ``phe`` as it comes (the paper's prototype)  one value                key_bits/4 a value
packed     signed slots, key-holder encryption          a row, or several rows   key_bits/4 a plaintext
========== ============================================ ======================== =====================

All three carry the same integers, so after any sequence of additions they decrypt to the same bits.
A matrix travels as (rows, ciphertexts_per_row, bytes) uint8, little endian and of fixed width.
"""

from __future__ import annotations

from fedmf_ray.schemes.base import Aggregate, Evaluator, KeyHolder, Matrices
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.schemes.paillier.elementwise import ElementwiseEvaluator, ElementwiseKeyHolder
from fedmf_ray.schemes.paillier.keys import generate_keys, restore_keys
from fedmf_ray.schemes.paillier.packed import PackedEvaluator, PackedKeyHolder
from fedmf_ray.schemes.plain import PlainEvaluator, PlainKeyHolder

__all__ = ["SCHEMES", "Aggregate", "Evaluator", "KeyHolder", "Matrices", "create"]

SCHEMES = ("plain", "elementwise", "packed")


def create(
    scheme: str, matrices: Matrices, primes: tuple[int, int] | None = None
) -> tuple[Evaluator, KeyHolder]:
    """Make both sides of a scheme (``plain``, ``elementwise`` or ``packed``), with fresh keys unless the
    primes of a pair are given."""
    if scheme == "plain":
        return PlainEvaluator(), PlainKeyHolder(matrices)
    public, private = restore_keys(*primes) if primes else generate_keys(matrices.key_bits)
    if scheme == "elementwise":
        return ElementwiseEvaluator(public), ElementwiseKeyHolder(public, private, matrices)
    if scheme == "packed":
        kernel = kernels.choose(matrices.key_bits)
        table = kernel.build_table(private.p, private.q, kernel.widest_window(matrices.key_bits // 2))
        return PackedEvaluator(public.n), PackedKeyHolder(private.p, private.q, table, matrices)
    raise ValueError(f"no scheme {scheme!r}: one of {', '.join(SCHEMES)}")


def ciphertexts_per_row(scheme: str, matrices: Matrices) -> int:
    """How many ciphertexts (for ``plain``: integers) one encrypted row is."""
    return matrices.slots.ciphertexts_per_row if scheme == "packed" else matrices.columns


def wire_bytes(scheme: str, matrices: Matrices) -> int:
    """Bytes of one encrypted row."""
    return ciphertexts_per_row(scheme, matrices) * (8 if scheme == "plain" else matrices.key_bits // 4)


def table_bytes(scheme: str, matrices: Matrices) -> int:
    """Memory that a key holder takes for its residue table, if it has one."""
    if scheme != "packed":
        return 0
    return kernels.choose(matrices.key_bits).process_bytes(matrices.key_bits // 2)
