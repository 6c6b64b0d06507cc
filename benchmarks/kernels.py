"""The native kernel against gmpy2 on one thread, and as a share of the processor's peak rate (the ceiling).

python benchmarks/kernels.py [--key-bits 2048 --key-bits 3072]

Both kernels use the same key, table and values in this one process and take turns. The figures are thread
CPU time from float64 values to wire bytes and back, checks included. The ceiling is a tight loop of
independent multiply-adds (52 bits, eight lanes), timed in every turn. *Of ceiling* is the time that the
multiply-adds of the algorithm would take at the ceiling, for full groups of eight, over the time taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import click
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import kernels, native_kernel
from fedmf_ray.schemes.paillier.keys import generate_keys
from fedmf_ray.schemes.paillier.packed import PackedEvaluator, PackedKeyHolder
from fedmf_ray.schemes.paillier.slots import SlotLayout

GRID = FixedPoint(20, value_bound=16, update_bound=2, contributors=610)
"""32 bits per slot."""

ROWS = 256
TURNS = {"encrypt": 7, "decrypt": 3, "add": 15}
BUNCH = {"encrypt": 3, "decrypt": 1, "add": 8}
"""Calls per turn, because users and servers make many of these calls in succession."""

LEAST_RATIO = {"encrypt": 8, "decrypt": 8, "add": 4}
MOST_NS = {"encrypt": 1500, "decrypt": 6000, "add": 30}
"""Per value, at 2048 bits."""

CEILING_TURNS = 500_000


class Side:
    """One kernel with one matrix to encrypt, decrypt and add."""

    def __init__(self, kernel: str, key: tuple[int, int, paillier.ResidueTable], slots: SlotLayout) -> None:
        p, q, table = key
        os.environ[kernels.VARIABLE] = kernel
        self.key = PackedKeyHolder(p, q, table, slots)
        self.values = np.random.default_rng(0).uniform(-1, 1, (ROWS, slots.columns))
        self.wire = self.encrypt()
        if not np.array_equal(self.decrypt(), np.rint(self.values * 2**20) / 2**20):
            raise ArithmeticError(f"{kernel} decrypts to other values than it encrypted")
        self.total = PackedEvaluator(p * q).aggregate(self.wire)
        self.rows = np.arange(ROWS)
        self.work: dict[str, Callable[[], object]] = {
            "encrypt": self.encrypt,
            "decrypt": self.decrypt,
            "add": lambda: self.total.add(self.rows, self.wire),
        }

    def encrypt(self) -> NDArray[np.uint8]:
        """From real numbers, as users do."""
        return self.key.encrypt(to_integers(self.values, GRID.scale))

    def decrypt(self) -> NDArray[np.float64]:
        return to_floats(self.key.decrypt(self.wire), GRID.scale)


def cpu_s(work: Callable[[], object], calls: int = 1) -> float:
    """CPU seconds per call."""
    started = time.thread_time()
    for _ in range(calls):
        work()
    return (time.thread_time() - started) / calls


def ceiling() -> float:
    """Multiply-adds per second, eight lanes each."""
    return 32 * CEILING_TURNS / cpu_s(lambda: native_kernel.ifma.ceiling(CEILING_TURNS))


def multiply_adds(key_bits: int, table_rows: int) -> dict[str, float]:
    """Eight-lane instructions per ciphertext, for h limbs of 52 bits in p and 2*h in n.

    A product of limbs takes two instructions, for its low and its high half. Products of limbs:

    * encryption, for each prime and pair of table rows: 2*h**2 to multiply the two entries, 5*h**2 to
      multiply them into the result;
    * decryption, for each prime: 3.5*h**2 per squaring, 5*h**2 per multiplication;
    * addition, in units of (2*h)**2: 1 to read, 2 for the gcd, 5 to add.
    """
    h = 10 * -(-(key_bits // 2 + 8) // 520)
    exponent = native_kernel.exponent_steps((1 << key_bits // 2) - 1 - (1 << key_bits // 4))
    products = len(exponent) + 32
    limb_products = {
        "encrypt": 2 * table_rows / 2 * 7 * h**2,
        "decrypt": 2 * (3.5 * key_bits / 2 + 5 * products) * h**2,
        "add": 8 * (2 * h) ** 2,
    }
    return {work: 2 * count / 8 for work, count in limb_products.items()}


def compare(key_bits: int) -> None:
    _, private = generate_keys(key_bits)
    window = native_kernel.widest_window(key_bits // 2)
    table = native_kernel.build_table(private.p, private.q, window)
    key = (private.p, private.q, table)
    slots = SlotLayout(GRID.slot_bits, 1, key_bits).slots_per_ciphertext
    layout = SlotLayout(GRID.slot_bits, slots, key_bits)
    sides = [Side(name, key, layout) for name in kernels.KERNELS]
    needed = multiply_adds(key_bits, table.entries.shape[1])
    print(
        f"\n{key_bits}-bit keys, {GRID.slot_bits} bits per slot, {slots} slots per ciphertext, "
        f"{ROWS} ciphertexts per call, window {window}, table {table.entries.nbytes / 1e6:.0f} MB"
    )
    print(f"{'per value':9}{'gmpy2':>12}{'native':>12}{'ratio':>9}{'target':>9}{'of ceiling':>12}")
    for work, turns in TURNS.items():
        measured = [
            (*(cpu_s(side.work[work], BUNCH[work]) for side in sides), ceiling()) for _ in range(turns)
        ]
        slow, fast, _ = np.median(measured, axis=0) / (ROWS * slots) * 1e9
        ratio = np.median([a / b for a, b, _ in measured])
        share = np.median([needed[work] * ROWS / rate / native for _, native, rate in measured])
        unit = f" (at most {MOST_NS[work] / 1000:g} us)" if key_bits == 2048 else ""
        line = f"{work:9}{slow / 1000:9.3f} us{fast / 1000:9.3f} us{ratio:7.1f} x{LEAST_RATIO[work]:7d} x"
        print(f"{line}{share:11.0%}{unit}")


def _refused(reason: str) -> int:
    """Say why nothing was measured; the exit code of that."""
    print(f"error: {reason}", file=sys.stderr)
    return 2


@click.command()
@click.option("--key-bits", multiple=True, default=(2048, 3072), show_default=True)
def main(key_bits: tuple[int, ...]) -> None:
    unsupported = [bits for bits in key_bits if not native_kernel.supports(bits)]
    if unsupported:
        sys.exit(_refused(f"--key-bits {unsupported[0]}: the native kernel supports no keys of this size"))
    obstacle = native_kernel.obstacle()
    if obstacle is not None:
        sys.exit(_refused(f"there is no native kernel here to compare with gmpy2: {obstacle}"))
    rates = [ceiling() for _ in range(9)]
    print(f"ceiling: {np.median(rates) / 1e9:.2f}e9 multiply-adds per second, eight lanes each")
    for bits in key_bits:
        compare(bits)


if __name__ == "__main__":
    main()
