"""Nanoseconds for a rating, or a masked row, where the rows of items lie anywhere in memory.

To compare two versions, run it in both checkouts, in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.schemes.masked import compiled as masks
from fedmf_ray.schemes.masked.bits import BitLayout

ITEMS, FACTORS, RATINGS, USERS, AT_ONCE = 59_047, 30, 154, 2_000, 26
"""As in scale-25m; so many users are worked on at once."""

MASKED_ROWS, COLUMNS, BITS = 4_096, 33, 31


def best(work: Callable[[], object], pieces: int) -> float:
    """Nanoseconds a piece, the fastest of ten turns."""
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return 1e9 * min(seconds) / pieces


def main() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(ITEMS, FACTORS + 2))
    people = [(random.integers(0, ITEMS, RATINGS), random.normal(size=RATINGS)) for _ in range(USERS)]
    blocks = [RatingBlock.of(people[at : at + AT_ONCE]) for at in range(0, USERS, AT_ONCE)]
    vectors, ones = random.normal(size=(AT_ONCE, FACTORS + 2)), np.ones(FACTORS + 1)

    def of_all(step: Callable[[RatingBlock], object]) -> float:
        return best(lambda: [step(block) for block in blocks], USERS * RATINGS)

    def mine(block: RatingBlock) -> np.ndarray:
        return vectors[: len(block.starts) - 1]

    print(f"errors        {of_all(lambda one: compiled.errors(mine(one), rows, one, None)):6.1f} ns a rating")
    print(f"batch         {of_all(lambda one: compiled.batch(mine(one), rows, one, (0, 0), (0, 0))):6.1f}")
    print(f"refit         {of_all(lambda one: compiled.refit(rows, *one, ones, True)):6.1f}")

    layout = BitLayout(COLUMNS, BITS)
    packed = random.integers(0, 256, (MASKED_ROWS, layout.row_bytes)).astype(np.uint8)
    sums = np.zeros((ITEMS, COLUMNS), layout.word)
    targets = [random.integers(0, ITEMS, MASKED_ROWS) for _ in range(40)]
    added = best(lambda: [masks.unpack(packed, sums, BITS, to) for to in targets], MASKED_ROWS * len(targets))
    print(f"masked rows   {added:6.1f} ns a row, added to its sum")


if __name__ == "__main__":
    main()
