"""Time for writing results and drawing progress bars, as a share of a round: the target is under 2 percent.

python benchmarks/writing.py

Unencrypted rounds, which are the fastest, and one encrypted case, with the progress bars of the command
line. Seconds are wall time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from fedmf_ray.cli.screens import RunScreen
from fedmf_ray.engine import run as runs
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.storage.run_folder import RunFolder

TARGET = 0.02
CASES = (
    ("plain", 610, 640, 100),
    ("plain", 10_000, 500, 100),
    ("plain", 10_000, 1000, 10),
    ("packed", 610, 320, 60),
)


class Stopwatch:
    """Add up the seconds spent in a function."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function):
        def timed(*args):
            started = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


@click.command(help=__doc__)
def main() -> None:
    for scheme, users, items, factors in CASES:
        chosen = scenario_file.parse(
            {
                "name": "writing",
                "ratings": {"source": "synthetic", "users": users, "items": items, "sparsity": 0.96},
                "model": {"factors": factors, "learning_rate": 1e-4},
                "protocol": {"scheme": scheme, "key_bits": 2048},
                "stop": {"rounds": 5},
                "cluster": {"users_per_actor": "auto"},
            },
            "writing",
        )
        watch = Stopwatch()
        original = RunFolder.append_round
        RunFolder.append_round = watch.around(original)
        try:
            with tempfile.TemporaryDirectory() as results, RunScreen("writing") as screen:
                for method in ("users", "round"):
                    setattr(screen, method, watch.around(getattr(screen, method)))
                path = runs.run(chosen, Path(results), screen)
                lines = (path / "rounds.csv").read_text().splitlines()
                total = sum(float(line.rpartition(",")[2]) for line in lines[1:]) + watch.seconds
        finally:
            RunFolder.append_round = original
        click.echo(
            f"{scheme:6} {users:6,} users, {items:5,} items, d = {factors:3}: "
            f"{watch.seconds / 5 * 1e3:6.1f} ms of {total / 5:6.2f} s per round, "
            f"{watch.seconds / total:.2%} (target {TARGET:.0%})"
        )


if __name__ == "__main__":
    main()
