"""Microseconds and bytes per value of two encryption schemes at one key size: `packed` against `elementwise`.

python benchmarks/crypto.py [--key-bits 2048]

Both schemes run in this one process and take turns; the figures are thread CPU time. Rows fill whole
ciphertexts, so that the packed figures are those of full ciphertexts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers
from fedmf_ray.schemes import Elementwise, Packed, Scheme, Shape
from fedmf_ray.schemes.paillier.slots import SlotLayout

GRID = FixedPoint(20, value_bound=16, update_bound=2, contributors=610)
PACKED_ROWS, ELEMENTWISE_VALUES = 40, 32
TURNS = {"encrypt": 7, "decrypt": 7, "add": 101}


class Side:
    """One scheme with one matrix to encrypt, decrypt and add."""

    def __init__(self, scheme: Scheme, shape: tuple[int, int]) -> None:
        self.evaluator, self.key = scheme.sides(Shape(shape[1], GRID.slot_bits))
        self.values = np.random.default_rng(0).uniform(-1, 1, shape)
        self.wire = self.encrypt()
        if not np.array_equal(self.decrypt(), np.rint(self.values * 2**20) / 2**20):
            raise ArithmeticError("decrypts to other values than were encrypted")
        self.total = self.evaluator.aggregate(self.wire)
        self.rows = np.arange(shape[0])

    def encrypt(self) -> NDArray[np.uint8]:
        """From real numbers, as users do."""
        return self.key.encrypt(to_integers(self.values, GRID.scale))

    def decrypt(self) -> NDArray[np.float64]:
        return to_floats(self.key.decrypt(self.wire), GRID.scale)

    def work(self) -> dict[str, Callable[[], object]]:
        return {
            "encrypt": self.encrypt,
            "decrypt": self.decrypt,
            "add": lambda: self.total.add(self.rows, self.wire),
        }


def cpu_s(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def alternate(left: Side, right: Side) -> dict[str, tuple[float, float]]:
    """Microseconds per value of both sides, medians over turns.

    The sides alternate (A B A B), so that drift of the machine affects both equally.
    """
    figures = {}
    for name, one, other in zip(left.work(), left.work().values(), right.work().values(), strict=True):
        turns = [(cpu_s(one), cpu_s(other)) for _ in range(TURNS[name])]
        a, b = np.median(turns, axis=0) * 1e6
        figures[name] = (a / left.values.size, b / right.values.size)
    return figures


def coding_ns(key_bits: int, columns: int) -> dict[str, float]:
    """Nanoseconds per value of fixed-point rounding and slot packing, both ways, for a large matrix."""
    layout = SlotLayout(GRID.slot_bits, columns, key_bits)
    values = np.random.default_rng(0).uniform(-1, 1, (2560, columns))
    plaintexts = layout.encode(to_integers(values, GRID.scale))
    work = {
        "encode": lambda: layout.encode(to_integers(values, GRID.scale)),
        "decode": lambda: to_floats(layout.decode(plaintexts), GRID.scale),
    }
    return {
        name: np.median([cpu_s(task) for _ in range(9)]) * 1e9 / values.size for name, task in work.items()
    }


@click.command()
@click.option("--key-bits", default=2048, show_default=True)
def main(key_bits: int) -> None:
    slots = SlotLayout(GRID.slot_bits, 1, key_bits).slots_per_ciphertext
    elementwise = Side(Elementwise(key_bits), (1, ELEMENTWISE_VALUES))
    packed = Side(Packed(key_bits), (PACKED_ROWS, 2 * slots))
    figures = alternate(elementwise, packed)
    figures["bytes"] = (
        elementwise.wire.nbytes / elementwise.values.size,
        packed.wire.nbytes / packed.values.size,
    )
    shape = f"{GRID.slot_bits} bits per slot, {slots} slots per ciphertext"
    print(f"{key_bits}-bit keys, {shape}, CPU time per value")
    print(f"{'':10}{'elementwise':>14}{'packed':>12}{'ratio':>9}   target")
    targets = {"encrypt": "500 x", "decrypt": "50 x", "add": "60 x", "bytes": "at most 9 bytes"}
    for work, target in targets.items():
        unit = "B" if work == "bytes" else "us"
        slow, fast = figures[work]
        print(f"{work:10}{slow:11.2f} {unit:2}{fast:9.3f} {unit:2}{slow / fast:8.0f} x {target}")
    for work, ns in coding_ns(key_bits, 100).items():
        print(f"{work:10}{'':14}{ns:9.1f} ns{'':9}   at most 60 ns")


if __name__ == "__main__":
    main()
