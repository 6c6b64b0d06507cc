"""What masks cost a value, beside what `plain` takes for the same, in one run: `masked`, and committees.

    python benchmarks/masks.py [--columns 31] [--bits 23] [--rows 98] [--users 610] [--repeats 20]

CPU time of one thread, the median of calls that take turns; bytes are those on the wire. Users upload so many
rows each, in one call for all, as in a run; a reader reads a matrix of 9,724 rows. `encrypt` includes masks,
packing and tags, `add` their checks, `read` the seals or signatures. `open` is what each step takes one user:
the opener, or a member that agrees on the set, takes the masks of a group off, and certifies the tables."""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fedmf_ray.protocol.messages import NOBODY, EncryptedItems
from fedmf_ray.schemes import Committee, Known, Masked, Piece, Plain, Scheme, Shape
from fedmf_ray.schemes.messages import Closed

ITEMS = 9724


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


def measure(scheme: Scheme, options: argparse.Namespace) -> None:
    shape, random = Shape(options.columns, options.bits), np.random.default_rng(0)
    evaluator, key = scheme.sides(shape)
    bare, clear = Plain().sides(shape)
    largest = 1 << options.bits - 8
    items = random.integers(-largest, largest, (ITEMS, options.columns))
    steps = random.integers(-8, 8, (options.rows * options.users, options.columns))
    blocks = [np.sort(random.choice(ITEMS, options.rows, replace=False)) for _ in range(options.users)]
    begun = key.begin(0, items, NOBODY)
    first = EncryptedItems(0, 0, begun.sums, begun.tags, NOBODY, begun.head, begun.proof)
    everything, heads = np.arange(ITEMS), {0: begun.head}
    key.read(first, everything)
    pieces = [Piece(user, 0, user * options.rows, (user + 1) * options.rows) for user in range(options.users)]

    def protect() -> object:
        return key.protect(0, steps, np.concatenate(blocks), pieces, heads, False)

    wire, tags = protect()
    uploads = [wire[one.begin : one.end] for one in pieces]
    plain, clear_items = clear.encrypt(steps), clear.encrypt(items)

    def total() -> Closed:
        rows, tagged = evaluator.aggregate(begun.sums), evaluator.tags(begun.tags)
        for user, (one, upload, tag) in enumerate(zip(blocks, uploads, tags, strict=True)):
            tagged.add(user, tag)
            rows.add(one, upload)
        return Closed(0, 0, np.arange(options.users), rows.closing(), tagged.closing(), begun.head)

    def total_plain() -> None:
        rows = bare.aggregate(clear_items)
        for one, at in zip(blocks, pieces, strict=True):
            rows.add(one, plain[at.begin : at.end])

    seconds = timed(
        {
            "encrypt": protect,
            "encrypt, plain": lambda: clear.encrypt(steps),
            "add": total,
            "add, plain": total_plain,
            "read": lambda: key.read(first, everything),
            "read, plain": lambda: clear.decrypt(clear_items).copy(),
        },
        options.repeats,
    )
    values = {"encrypt": steps.size, "add": steps.size, "read": items.size}
    print(scheme.label)
    for name, count in values.items():
        ours, theirs = (1e9 * seconds[one] / count for one in (name, f"{name}, plain"))
        print(f"  {name:8} {ours:6.2f} ns a value; plain {theirs:5.2f}; {ours / theirs:5.1f} times")
    print(
        f"  upload   {wire.nbytes / steps.size:6.3f} bytes a value, of which {options.bits / 8:.3f} are b/8"
    )
    closed, known = total(), Known(0, heads, NOBODY, 1, options.users)
    for name, took in opened(scheme, evaluator, key, closed, known, options.repeats).items():
        print(f"  {name:8} {1e3 * took:6.2f} ms for {ITEMS:,} rows and {len(steps):,} uploaded ones")


def opened(scheme: Scheme, evaluator, key, closed: Closed, known: Known, repeats: int) -> dict[str, float]:
    """Seconds of each step, of one user."""
    if scheme.council is None:
        return timed({"open": lambda: key.open([closed], known)}, repeats)
    members, groups = key.members, scheme.council.groups
    signatures = {one.number: one.agree(closed, known) for one in members}
    parts = [members[who[0]].part(at, closed, known, signatures) for at, who in enumerate(groups)]
    (sheet,), lives = evaluator.sheets(closed, parts, [0]), [one.life for one in members]

    def part(group: int) -> object:
        member = members[groups[group][0]]
        member._sent.clear()  # it would send the same again
        return member.part(group, closed, known, signatures)

    return timed(
        {
            "agree": lambda: members[0].agree(closed, known),
            "part": lambda: part(len(groups) - 1),
            "part 0": lambda: part(0),
            "certify": lambda: members[0].certify(closed, sheet, known, lives),
            "assemble": lambda: evaluator.assemble(closed, parts),
        },
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("columns", 31), ("bits", 23), ("rows", 98), ("users", 610), ("repeats", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    print(cpu[0].partition(":")[2].strip() if cpu else platform.processor())
    print(f"{options.columns} columns of {options.bits} bits, {options.users} uploads of {options.rows} rows")
    for scheme in (Masked(), Committee(3, 1), Committee(4, 1)):
        measure(scheme, options)


if __name__ == "__main__":
    main()
