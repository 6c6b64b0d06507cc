"""What masks cost a value, beside what `plain` takes for the same, in one run.

    python benchmarks/masks.py [--columns 31] [--bits 23] [--rows 512] [--repeats 20]

CPU time of one thread, the median of calls that take turns; bytes are those on the wire. Uploads are of so
many rows each; a reader reads a matrix of 9,724 rows. `encrypt` includes masks, packing and the tag, `read`
the seals.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fedmf_ray.protocol.messages import NOBODY, EncryptedItems
from fedmf_ray.schemes import Known, Masked, Piece, Plain, Shape
from fedmf_ray.schemes.messages import Closed

ITEMS, USERS = 9724, 20


def timed(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of CPU of each, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for at in range(repeats + 1):
        for name, work in works.items():
            started = time.thread_time()
            work()
            if at:  # the first call of anything is slower
                seconds[name].append(time.thread_time() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("columns", 31), ("bits", 23), ("rows", 512), ("repeats", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    shape, random = Shape(options.columns, options.bits), np.random.default_rng(0)
    evaluator, key = Masked().sides(shape)
    bare, clear = Plain().sides(shape)
    largest = 1 << options.bits - 8
    items = random.integers(-largest, largest, (ITEMS, options.columns))
    steps = random.integers(-8, 8, (options.rows, options.columns))
    blocks = [np.sort(random.choice(ITEMS, options.rows, replace=False)) for _ in range(USERS)]
    begun = key.begin(0, items, NOBODY)
    heads, pieces = {0: begun.head}, [[Piece(user, 0, 0, options.rows)] for user in range(USERS)]
    uploads = [
        key.protect(0, steps, one, mine, heads, False) for one, mine in zip(blocks, pieces, strict=True)
    ]
    plain = clear.encrypt(steps)

    def total() -> Closed:
        rows, tags = evaluator.aggregate(begun.sums), evaluator.tags(begun.tags)
        for user, (one, (wire, (tag,))) in enumerate(zip(blocks, uploads, strict=True)):
            rows.add(one, wire)
            tags.add(user, tag)
        return Closed(0, 0, np.arange(USERS), rows.closing(), tags.closing(), begun.head)

    known = Known(0, heads, NOBODY, 1, USERS)
    first = EncryptedItems(0, 0, begun.sums, begun.tags, NOBODY, begun.head, begun.proof)
    everything, clear_items = np.arange(ITEMS), clear.encrypt(items)
    masked_rows, plain_rows = evaluator.aggregate(begun.sums), bare.aggregate(clear_items)
    seconds = timed(
        {
            "encrypt": lambda: key.protect(0, steps, blocks[0], pieces[0], heads, False),
            "encrypt, plain": lambda: clear.encrypt(steps),
            "add": lambda: masked_rows.add(blocks[0], uploads[0][0]),
            "add, plain": lambda: plain_rows.add(blocks[0], plain),
            "read": lambda: key.read(first, everything),
            "read, plain": lambda: clear.decrypt(clear_items).copy(),
        },
        options.repeats,
    )
    values = {"encrypt": steps.size, "add": steps.size, "read": items.size}
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    print(cpu[0].partition(":")[2].strip() if cpu else platform.processor())
    print(f"{options.columns} columns of {options.bits} bits, uploads of {options.rows} rows")
    for name, count in values.items():
        ours, theirs = (1e9 * seconds[one] / count for one in (name, f"{name}, plain"))
        print(f"{name:8} {ours:6.2f} ns a value; plain {theirs:5.2f}; {ours / theirs:5.1f} times")
    wire = uploads[0][0]
    print(f"upload   {wire.nbytes / steps.size:6.3f} bytes a value, of which {options.bits / 8:.3f} are b/8")
    closed = total()
    opened = timed({"open": lambda: key.open([closed], known)}, options.repeats)["open"]
    print(f"open     {1e3 * opened:6.2f} ms for {ITEMS:,} rows and {USERS * options.rows:,} uploaded ones")


if __name__ == "__main__":
    main()
