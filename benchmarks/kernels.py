"""Every kernel that this machine has against gmpy2 on one thread, and as a share of the peak rate.

python benchmarks/kernels.py [--key-bits 2048 --key-bits 3072] [--kernel fma4]

All kernels use the same key, table and values in this one process and take turns. The figures are thread
CPU time from float64 values to wire bytes and back, checks included. The ceiling of a kernel is a tight loop
of its independent multiply-adds, timed in every turn. *Of ceiling* is the time that the multiply-adds of the
algorithm would take at the ceiling, for full groups, over the time taken; *of products* is the same for a
tight loop of whole products of limbs, which on doubles are two multiply-adds and three additions.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import extensions, kernels, native_kernel
from fedmf_ray.schemes.paillier.keys import generate_keys
from fedmf_ray.schemes.paillier.macs import NONCE_BYTES
from fedmf_ray.schemes.paillier.packed import PackedEvaluator, PackedKeyHolder
from fedmf_ray.schemes.paillier.slots import SlotLayout

GRID = FixedPoint(20, value_bound=16, update_bound=2, contributors=610)
"""32 bits per slot."""

ROWS = 256
TURNS = {"encrypt": 7, "decrypt": 3, "add": 15}
BUNCH = {"encrypt": 3, "decrypt": 1, "add": 8}
"""Calls per turn, because users and servers make many of these calls in succession."""

LEAST_RATIO = {
    "ifma": {2048: {"encrypt": 8, "decrypt": 8, "add": 4}, 3072: {"encrypt": 8, "decrypt": 8, "add": 4}},
    "fma4": {2048: {"encrypt": 8, "decrypt": 5, "add": 3.5}, 3072: {"encrypt": 7, "decrypt": 4.5, "add": 3}},
}
"""Targets, for these kernels and key sizes."""

LANES = {"ifma": 8, "fma8": 8, "fma4": 4, "fma2": 2}
CEILING_TURNS = 200_000


class Side:
    """One kernel with one matrix to encrypt, decrypt and add."""

    def __init__(self, kernel: str, key: tuple[int, int, paillier.ResidueTable], slots: SlotLayout) -> None:
        p, q, table = key
        os.environ[kernels.VARIABLE] = kernel
        self.key = PackedKeyHolder(p, q, table, slots, bytes(NONCE_BYTES))
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


def ceiling(kernel: str, products: bool = False) -> float:
    """Multiply-adds per second, of as many lanes as the kernel has: as fast as they go, or in products."""
    functions = native_kernel.KERNELS[kernel].extension.functions
    made = 32 * CEILING_TURNS * (2 if products else 1)
    return made / cpu_s(lambda: functions.ceiling(CEILING_TURNS, products))


def multiply_adds(key_bits: int, table_rows: int) -> dict[str, float]:
    """Multiply-adds per ciphertext, one lane each, for h limbs of 52 bits in p and 2*h in n.

    A product of limbs takes two of them, for its low and its high half. Products of limbs:

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
    return {work: 2 * count for work, count in limb_products.items()}


def compare(key_bits: int, names: list[str]) -> None:
    _, private = generate_keys(key_bits)
    fastest = native_kernel.KERNELS[names[0]]
    window = fastest.widest_window(key_bits // 2)
    table = fastest.build_table(private.p, private.q, window)
    key = (private.p, private.q, table)
    slots = SlotLayout(GRID.slot_bits, 1, key_bits).slots_per_ciphertext
    layout = SlotLayout(GRID.slot_bits, slots, key_bits)
    sides = {name: Side(name, key, layout) for name in [*names, "gmpy2"]}
    needed = multiply_adds(key_bits, table.entries.shape[1])
    print(
        f"\n{key_bits}-bit keys, {GRID.slot_bits} bits per slot, {slots} slots per ciphertext, "
        f"{ROWS} ciphertexts per call, window {window}, table {table.entries.nbytes / 1e6:.0f} MB"
    )
    print(
        f"{'per value':9}{'kernel':>8}{'time':>12}{'gmpy2':>12}{'ratio':>10}{'target':>9}{'of ceiling':>12}"
        f"{'of products':>13}"
    )
    for work, turns in TURNS.items():
        measured = [turn(work, sides) for _ in range(turns)]
        for name in names:
            slow, fast, *rates = (
                np.array(column) for column in zip(*(t[name] for t in measured), strict=True)
            )
            times = np.median([slow, fast], axis=1) / (ROWS * slots) * 1e6
            target = LEAST_RATIO.get(name, {}).get(key_bits, {}).get(work)
            shares = [np.median(needed[work] * ROWS / LANES[name] / rate / fast) for rate in rates]
            print(
                f"{work:9}{name:>8}{times[1]:9.3f} us{times[0]:9.3f} us{np.median(slow / fast):8.1f} x"
                f"{f'{target:g} x' if target else '':>9}{shares[0]:12.0%}{shares[1]:13.0%}"
            )


def turn(work: str, sides: dict[str, Side]) -> dict[str, tuple[float, float, float, float]]:
    """CPU seconds of gmpy2 and of each other kernel, one after the other, and its ceilings."""
    slow = cpu_s(sides["gmpy2"].work[work], BUNCH[work])
    return {
        name: (slow, cpu_s(side.work[work], BUNCH[work]), ceiling(name), ceiling(name, products=True))
        for name, side in sides.items()
        if name != "gmpy2"
    }


def processor() -> str:
    """Its name, as Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _refused(reason: str) -> int:
    """Say why nothing was measured; the exit code of that."""
    print(f"error: {reason}", file=sys.stderr)
    return 2


@click.command()
@click.option("--key-bits", multiple=True, default=(2048, 3072), show_default=True)
@click.option("--kernel", "only", multiple=True, help="Measure only this one. [default: all that run here]")
def main(key_bits: tuple[int, ...], only: tuple[str, ...]) -> None:
    unsupported = [bits for bits in key_bits if not native_kernel.supports(bits)]
    if unsupported:
        sys.exit(_refused(f"--key-bits {unsupported[0]}: the native kernels support no keys of this size"))
    print(f"processor: {processor()}")
    for extension in extensions.EXTENSIONS:
        obstacle = extension.obstacle()
        print(f"{extension.name}: {extension.instructions if obstacle is None else f'not here: {obstacle}'}")
    names = [extension.name for extension in extensions.runnable() if extension.name in (only or LANES)]
    if not names:
        sys.exit(_refused("this machine runs no kernel beside gmpy2 that could be compared with it"))
    for name in names:
        single, whole = (
            np.median([ceiling(name, products) for _ in range(9)]) / 1e9 for products in (False, True)
        )
        print(
            f"ceiling of {name}: {single:.2f}e9 multiply-adds per second, {LANES[name]} lanes each; "
            f"{whole:.2f}e9 in whole products"
        )
    for bits in key_bits:
        compare(bits, names)


if __name__ == "__main__":
    main()
