"""One flagship round of each scheme, in one run: 610 users, 9,724 items, ridge, 30 factors.

    python benchmarks/rounds.py [--turns 3] [--schemes plain,packed,packed:1:all,masked,masked:0]

A scheme may be followed by `part_text_sparsity`, and by what users read (`protocol.reading`).

Each scheme trains the model of scenarios/movielens-quality.yaml (needs ml-latest-small) for five rounds, in
turns with the others, each in a process of its own; the first two rounds count as warm-up. Printed are
medians over rounds and turns: seconds of the simulation (`wall_s`, and as a multiple of `plain`), of a
deployment (`protocol_s`), and bytes. The losses must be those of `plain`, to the last bit."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

SCENARIO = Path(__file__).parents[1] / "scenarios" / "movielens-quality.yaml"
COLUMNS = (
    "wall_s",
    "protocol_s",
    "slowest_decrypt_s",
    "open_s",
    "seal_s",
    "server_cpu_s",
    "upload_mb",
    "download_mb",
)
WARM_UP, ROUNDS = 2, 5


def played(scheme: str, text: str, reading: str, results: Path) -> pd.DataFrame:
    """``rounds.csv`` of a run."""
    words = [f"protocol.scheme={scheme}", f"stop.rounds={ROUNDS}", "metrics.top_k=null"]
    words += [f"protocol.part_text_sparsity={text}", "cluster.checkpoint_every=never"]
    words += [f"protocol.reading={reading}"] if reading else []
    command = [sys.executable, "-m", "fedmf_ray", "run", str(SCENARIO), *words, "--results", str(results)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rounds = pd.read_csv(Path(done.stdout.splitlines()[-1]) / "rounds.csv")
    others = {"upload": 0, "download": rounds["seal_bytes"]}  # of both ways: most of them are downloads
    for way, beside in others.items():
        rounds[f"{way}_mb"] = (rounds[f"{way}_bytes_total"] + beside) / rounds["users"] / 1e6
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--schemes", default="plain,packed:1:all,packed,masked,masked:0,committee,committee:0"
    )
    options = parser.parse_args()
    seen: dict[str, list[pd.DataFrame]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.turns):
            for name in options.schemes.split(","):
                scheme, text, reading = (name.split(":") + ["1", ""][name.count(":") :])[:3]
                seen.setdefault(name, []).append(played(scheme, text, reading, Path(folder)))
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    print(cpu[0].partition(":")[2].strip() if cpu else platform.processor())
    first = next(iter(seen.values()))[0]
    base = pd.concat(one[WARM_UP:] for one in next(iter(seen.values())))["wall_s"].median()
    print(f"{'scheme':14}{'times':>8}" + "".join(f"{column:>19}" for column in COLUMNS))
    for name, tables in seen.items():
        if not all(one["test_rmse"].equals(first["test_rmse"]) for one in tables):
            raise SystemExit(f"{name}: has other losses than {options.schemes.partition(',')[0]}")
        medians = pd.concat(one[WARM_UP:] for one in tables)[list(COLUMNS)].median()
        print(f"{name:14}{medians['wall_s'] / base:8.2f}" + "".join(f"{one:19.4g}" for one in medians))


if __name__ == "__main__":
    main()
