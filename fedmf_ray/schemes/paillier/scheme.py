"""The two Paillier schemes as objects: ``elementwise``, the paper's prototype, and ``packed``.

=========== ============================================ ====================== ==========================
scheme      what it is                                   one ciphertext holds   wire bytes
=========== ============================================ ====================== ==========================
elementwise ``phe`` as it comes (the paper's prototype)  one value              key_bits/4 per value
packed      signed slots, key-holder encryption          a row, or several rows key_bits/4 per ciphertext
=========== ============================================ ====================== ==========================

The server sees which blocks a user uploads and ciphertexts. All users share one key pair: a server that holds
one user's key reads everything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes.base import Evaluator, KeyHolder, Reads, Rows, Scheme, Secrets, Shape
from fedmf_ray.schemes.numbers import array_to_numbers
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.schemes.paillier.elementwise import ElementwiseEvaluator, ElementwiseKeyHolder
from fedmf_ray.schemes.paillier.keys import check_key_bits, generate_keys, key_warning, restore_keys
from fedmf_ray.schemes.paillier.macs import NONCE_BYTES
from fedmf_ray.schemes.paillier.packed import PackedEvaluator, PackedKeyHolder
from fedmf_ray.schemes.paillier.slots import SlotLayout

_MOST_ROWS = 8
"""In full text, rows share ciphertexts in blocks of at most this many: larger ones save no more."""


@dataclass(frozen=True)
class Paillier(Scheme):
    """What both have in common. key_bits: size of the modulus n."""

    server_reads: ClassVar[Reads] = Reads.ROWS
    checks_protected: ClassVar[bool] = True

    key_bits: int = 3072

    def __post_init__(self) -> None:
        check_key_bits(self.key_bits)

    @classmethod
    def configured(cls, protocol: Mapping[str, Any]) -> Scheme:
        """The key's size stands in ``protocol`` itself, as it always has: both schemes share it."""
        return cls(protocol["key_bits"])

    def tag_bytes(self) -> int:
        return self.key_bits // 4 + NONCE_BYTES

    def published_bytes(self, shape: Shape, blocks: int) -> int:
        """With the nonce that most tags have; those that were made after a failure have others."""
        return super().published_bytes(shape, blocks) + NONCE_BYTES

    def block_bytes(self, shape: Shape) -> int:
        return self.pieces(shape) * (self.key_bits // 4)

    def number_bytes(self) -> int:
        """Modulo the square of a prime."""
        return self.key_bits // 8

    @property
    def label(self) -> str:
        return f"{self.name}, {self.key_bits} bits"

    def warning(self) -> str | None:
        return key_warning(self.key_bits)


@dataclass(frozen=True)
class Elementwise(Paillier):
    """One value, one ciphertext, with the public key's own operations."""

    name: ClassVar[str] = "elementwise"
    unit_rows: ClassVar[tuple[int, int]] = (1, 4)

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        public, private = restore_keys(*_primes(secrets)) if secrets else generate_keys(self.key_bits)
        return ElementwiseEvaluator(public), ElementwiseKeyHolder(
            public, private, shape.columns, os.urandom(NONCE_BYTES)
        )

    def rows_per_block(self, rows: Rows) -> int:
        """Longer blocks would save nothing, and fill up the last one of each table."""
        return 1

    def layout(self, rows: Rows) -> str:
        return f"one value per ciphertext, {rows.width} ciphertexts per row"

    def unit_width(self, width: int) -> int:
        """Ciphertexts of one value all cost the same: a short row does."""
        return min(width, 4)


@dataclass(frozen=True)
class Packed(Paillier):
    """Whole rows as slots of few ciphertexts, encrypted by those who hold the key."""

    name: ClassVar[str] = "packed"
    shares_check: ClassVar[bool] = True
    unit_rows: ClassVar[tuple[int, int]] = (3, 35)
    """Kernels may work on ``kernels.AT_ONCE`` numbers at once: the sizes are whole batches apart, so that
    partial batches do not bias the slope, and begin in the middle of one, so that the line lies as often
    above the truth as below."""

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        kernel = kernels.choose(self.key_bits)
        if secrets:
            p, q = _primes(secrets)
        else:
            private = generate_keys(self.key_bits)[1]
            p, q = private.p, private.q
        table = kernel.build_table(p, q, kernel.widest_window(self.key_bits // 2))
        return PackedEvaluator(p * q), PackedKeyHolder(
            p, q, table, self._slots(shape), os.urandom(NONCE_BYTES)
        )

    def pieces(self, shape: Shape) -> int:
        return self._slots(shape).ciphertexts_per_row

    def memory_bytes(self) -> int:
        return kernels.choose(self.key_bits).process_bytes(self.key_bits // 2)

    def rows_per_block(self, rows: Rows) -> int:
        """In full text, where all blocks are uploaded: the fewest ciphertexts, then the fewest rows.
        Otherwise what fits one ciphertext, so that nobody uploads two for the sake of one row.

        Raises :class:`FedMFError` if a ciphertext holds no slot.
        """
        fitting = self._slots(Shape(1, rows.value_bits)).slots_per_ciphertext
        if fitting < 1:
            raise FedMFError(
                f"protocol: no slot of {rows.value_bits} bits fits a key of {self.key_bits} bits"
            )
        if not rows.full_text:
            return max(1, min(fitting // rows.width, rows.most))
        # Shared tables are cut like item rows: narrow rows must fill a ciphertext, or each number takes one.
        most = max(_MOST_ROWS, fitting // rows.width) if rows.shared else _MOST_ROWS
        choices = range(1, max(1, min(most, rows.most)) + 1)
        return min(choices, key=lambda each: self._ciphertexts(rows, each))

    def layout(self, rows: Rows) -> str:
        each = self.rows_per_block(rows)
        slots = self._slots(rows.shape(each))
        many, shared = slots.ciphertexts_per_row, "per row" if each == 1 else f"per {each} rows"
        text = (
            f"{slots.slot_bits} bits per slot, {slots.slots_per_ciphertext} slots per ciphertext, "
            f"{many} ciphertext{'' if many == 1 else 's'} {shared}"
        )
        if each > 1:
            alone = rows.items * self.pieces(rows.shape(1))
            text += f": {self.total_pieces(rows):,} for all items instead of {alone:,}"
        return text

    def notes(self) -> list[str]:
        return [f"arithmetic: {kernels.description()}"]

    def _ciphertexts(self, rows: Rows, each: int) -> int:
        """Of all tables, with so many item rows in a block."""
        return (rows.blocks(each) + rows.shared_blocks(each)) * self.pieces(rows.shape(each))

    def _slots(self, shape: Shape) -> SlotLayout:
        return SlotLayout(shape.value_bits, shape.columns, self.key_bits)


def _primes(secrets: Mapping[str, NDArray[np.uint8]]) -> tuple[int, int]:
    p, q = array_to_numbers(secrets["primes"])
    return p, q
