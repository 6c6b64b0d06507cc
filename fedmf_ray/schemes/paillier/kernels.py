"""Who does the arithmetic: the fastest kernel that this machine can run, ``gmpy2`` where it runs no other.

All read and write the same bytes, so processes of one run may use any. The environment variable
``FEDMF_KERNEL`` decides for a process: ``ifma``, ``fma``, ``gmpy2``, or ``native`` for the better of the
first two. ``fma8``, ``fma4`` and ``fma2`` are ``fma`` on so many numbers at a time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol, cast

import gmpy2
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes.paillier import extensions, gmpy2_kernel, native_kernel
from fedmf_ray.schemes.paillier.ciphertexts import ResidueTable
from fedmf_ray.schemes.paillier.extensions import Extension

VARIABLE = "FEDMF_KERNEL"
KERNELS = {
    "ifma": ("ifma",),
    "fma": ("fma8", "fma4", "fma2"),
    "native": ("ifma", "fma8", "fma4", "fma2"),
    "gmpy2": (),
    "fma8": ("fma8",),
    "fma4": ("fma4",),
    "fma2": ("fma2",),
}
"""What the variable may say, and the extensions that it allows."""
AT_ONCE = 8
"""The most numbers that a kernel works on in one turn: fewer than that may cost as much."""

Bytes = NDArray[np.uint8]


class PrivateKey(Protocol):
    """Encrypts and decrypts plaintexts modulo n; numbers are little-endian bytes of fixed width.

    shifts: one number for each piece (column) of a matrix of plaintexts, 0 <= shift < n. What is encrypted is
    plaintext - shift, what is decrypted comes with shift added.
    """

    def encrypt(self, plaintexts: Bytes, shifts: Sequence[int]) -> Bytes:
        """(rows, pieces, bytes) uint8 to fresh ciphertexts, (rows, pieces, bytes of n**2) uint8.

        Randomness comes from the operating system.
        """

    def decrypt(self, wire: Bytes, shifts: Sequence[int]) -> Bytes:
        """(rows, pieces, bytes of n**2) uint8 to (rows, pieces, bytes of n) uint8, under n."""


class Sums(Protocol):
    """Ciphertexts modulo n**2 that others are added to.

    Whatever is read is checked: ``ValueError`` unless 0 < c < n**2 and c is coprime to n.
    """

    def add(self, targets: NDArray[np.int64], wire: Bytes) -> None:
        """Add ciphertexts, (count, bytes) uint8, to the sums at ``targets``; one may come several times."""

    def wire(self) -> Bytes:
        """The sums as they stand, (count, bytes) uint8, canonical."""


class Kernel(Protocol):
    """What a module of arithmetic offers."""

    def PrivateKey(self, p: int, q: int, table: ResidueTable) -> PrivateKey:
        """For those who hold the key."""

    def Sums(self, n: int, wire: Bytes) -> Sums:
        """Start sums from ciphertexts, (count, bytes) uint8."""

    def widest_window(self, prime_bits: int) -> int:
        """Window in bits of the table to build for primes of this size."""

    def build_table(self, p: int, q: int, window: int) -> ResidueTable:
        """A fresh table."""

    def process_bytes(self, prime_bits: int) -> int:
        """Memory that its table takes in a process."""


def choose(key_bits: int) -> Kernel:
    """The kernel for keys of this size in this process.

    Raises ``FedMFError`` if ``FEDMF_KERNEL`` names one that is impossible here.
    """
    extension, _ = _choose()
    if extension is None:
        return cast(Kernel, gmpy2_kernel)
    if native_kernel.supports(key_bits):
        return native_kernel.KERNELS[extension.name]
    if forced := _forced():
        raise FedMFError(
            f"{VARIABLE}={forced}: keys of {key_bits} bits are not supported (multiples of 64 up to "
            f"{native_kernel.LARGEST_KEY_BITS}): unset {VARIABLE}"
        )
    return cast(Kernel, gmpy2_kernel)


def description() -> str:
    """One line: the kernel in use and why, such as ``gmpy2 2.2.1 (GMP 6.3.0): this CPU has no AVX-512``."""
    extension, reason = _choose()
    name = extension.name if extension else f"gmpy2 {gmpy2.version()} ({gmpy2.mp_version()})"
    return f"{name}: {reason}"


def runnable() -> list[str]:
    """The kernels that this machine can run, by the names of ``FEDMF_KERNEL``, the fastest first."""
    return [*(extension.name for extension in extensions.runnable()), "gmpy2"]


def _choose() -> tuple[Extension | None, str]:
    """The extension, or None for gmpy2, and the reason."""
    forced = _forced()
    if forced == "gmpy2":
        return None, f"{VARIABLE} says so"
    allowed = [each for each in extensions.EXTENSIONS if each.name in KERNELS[forced or "native"]]
    skipped: list[str] = []
    for extension in allowed:
        obstacle = extension.obstacle()
        if obstacle is None:
            return extension, "; ".join([extension.instructions, *dict.fromkeys(skipped)])
        skipped.append(obstacle)
    reason = "; ".join(dict.fromkeys(skipped))
    if forced:
        raise FedMFError(f"{VARIABLE}={forced}: {reason}: unset {VARIABLE} to use what can run here")
    return None, reason


def _forced() -> str | None:
    forced = os.environ.get(VARIABLE)
    if forced and forced not in KERNELS:
        raise FedMFError(f"{VARIABLE}={forced}: no such kernel: one of {', '.join(KERNELS)}")
    return forced or None
