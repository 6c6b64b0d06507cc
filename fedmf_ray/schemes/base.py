"""What users and server need of a scheme, and what is fixed about the matrices that it protects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.fixed_point import Grid
from fedmf_ray.schemes.paillier.slots import SlotLayout
from fedmf_ray.schemes.paillier.tags import Authenticator

Floats = NDArray[np.float64]
Wire = NDArray[np.uint8]


class KeyHolder(Protocol):
    """A user's side: it can read everything."""

    def encrypt(self, values: Floats, numbers: Sequence[mpz] = ()) -> Wire:
        """(rows, columns) within the grid's bounds to (rows, ciphertexts_per_row, bytes).

        numbers: modulo n; each is one row more, encrypted in its first ciphertext.
        """

    def decrypt(self, wire: Wire) -> Floats:
        """(rows, ciphertexts_per_row, bytes) to (rows, columns)."""

    def decrypt_number(self, ciphertext: Wire) -> mpz:
        """(bytes,) to the number modulo n in it."""

    def plaintexts(self, values: Floats) -> list[mpz]:
        """The signed numbers that :meth:`encrypt` would encrypt, row by row."""

    @property
    def primes(self) -> tuple[int, int] | None:
        """The private key, for the users' own safe-keeping; None where there is none."""

    @property
    def authenticator(self) -> Authenticator | None:
        """Makes and checks tags; None where nothing is hidden from the server anyway."""


class Aggregate(Protocol):
    """A sum of encrypted matrices in the making."""

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        """Add encrypted rows to the given rows of the sum.

        Raises ``ValueError`` with the reason if a ciphertext is malformed; nothing is added then.
        """

    def wire(self) -> Wire:
        """The sum as it stands."""


class Evaluator(Protocol):
    """The server's side: public key only, validates and adds."""

    def aggregate(self, wire: Wire) -> Aggregate:
        """Start a sum from an encrypted matrix."""

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        """An encrypted matrix of zeros that anybody can make: where a partial sum starts."""

    def negate(self, wire: Wire) -> Wire:
        """What takes an encrypted matrix out of a sum again, to the last bit."""


@dataclass(frozen=True)
class Matrices:
    """What is fixed about the matrices that a scheme protects.

    columns: values per row.
    grid: fixed point and bounds of its columns.
    key_bits: size of n (0 for ``plain``).
    """

    columns: int
    grid: Grid
    key_bits: int

    @property
    def slots(self) -> SlotLayout:
        return SlotLayout(self.grid.slot_bits, self.columns, self.key_bits)
