"""Two user actors with as many users each as one has alone: users per second, together against alone.

    python benchmarks/weak_scaling.py

Both take turns; nothing else should run on the machine.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click
import pandas as pd
from scaling import run_of

_WEAK: dict[str, tuple[int, dict[str, Any]]] = {
    "packed": (60, {}),
    "masked": (
        3020,
        {"ratings__items": 3706, "ratings__sparsity": 0.955, "model__rule": "ridge", "model__factors": 30},
    ),
}
"""By scheme, how many users each actor has, and what else is changed: a small run under encryption, and half
the size of MovieLens-1M under masks."""


@click.command(help=__doc__)
@click.option("--schemes", default=",".join(_WEAK), show_default=True)
@click.option("--turns", default=3, show_default=True)
def main(schemes: str, turns: int) -> None:
    for scheme in schemes.split(","):
        users, changes = _WEAK[scheme]
        speeds: dict[int, list[float]] = {1: [], 2: []}
        with tempfile.TemporaryDirectory() as results:
            for _, actors in itertools.product(range(turns), speeds):
                more = {"protocol__scheme": scheme, "cluster__users_per_actor": users, "stop__rounds": 6}
                folder = run_of(Path(results), ratings__users=users * actors, **more, **changes)
                seconds = pd.read_csv(folder / "rounds.csv")["wall_s"].tolist()[1:]
                speeds[actors] += [users * actors / one for one in seconds]
        one, two = (statistics.median(speeds[actors]) for actors in (1, 2))
        print(f"{scheme:7} one {one:9.1f} users per second, two {two:9.1f}: {two / one:.2f} x (target 1.8)")


if __name__ == "__main__":
    main()
