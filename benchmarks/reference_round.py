"""One round of the authors' full-text experiment: `packed` at 2048 bits against the 1024-bit prototype.

FEDMF_DATA=... python benchmarks/reference_round.py [--pairs 3]

7 users, 40 items, d = 100. Every user decrypts for itself, all in one process; the two schemes take turns.
`user CPU` is the CPU time charged to the slowest user in the round. `wall` is the whole round, with all
users one after another.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.scenario import file as scenario_file

SCENARIO = Path(__file__).parent.parent / "scenarios" / "reference-full.yaml"
SIDES = {"elementwise": 1024, "packed": 2048}


def one_round(scheme: str, key_bits: int) -> tuple[float, float]:
    """CPU seconds charged to the slowest user, and wall seconds, of round 0."""
    overrides = [f"protocol.scheme={scheme}", f"protocol.key_bits={key_bits}", "stop.rounds=1"]
    chosen = scenario_file.load(SCENARIO, [*overrides, "cluster.backend=serial"])
    with tempfile.TemporaryDirectory() as results:
        row = pd.read_csv(run(chosen, Path(results), Silent()) / "rounds.csv").iloc[0]
    return float(row["user_cpu_s_max"]), float(row["wall_s"])


@click.command()
@click.option("--pairs", default=3, show_default=True)
def main(pairs: int) -> None:
    turns = np.array([[one_round(*side) for side in SIDES.items()] for _ in range(pairs)])
    slow, fast = np.median(turns, axis=0)
    ratios = np.median(turns[:, 0] / turns[:, 1], axis=0)
    print(f"reference-full, one round, medians of {pairs} pairs (seconds)")
    print(
        f"{'':10}"
        + "".join(f"{f'{scheme} {bits}':>18}" for scheme, bits in SIDES.items())
        + f"{'ratio':>8}  target"
    )
    for name, a, b, ratio in zip(("user CPU", "wall"), slow, fast, ratios, strict=True):
        print(f"{name:10}{a:18.2f}{b:18.3f}{ratio:7.1f}x  25x")


if __name__ == "__main__":
    main()
