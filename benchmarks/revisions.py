"""Compare the phases of a round between this checkout and an earlier revision, in one run, in turns.

python benchmarks/revisions.py REVISION [--repeats 7]

Both sides run the same scenarios, alternately, each in a process of its own. A ratio above 1 means that this
checkout is slower. Other work on the machine affects both sides; the medians of pairs are what counts.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pandas as pd
import yaml

ROOT = Path(__file__).parent.parent

PHASES = {
    "decrypt": "user_decrypt_cpu_s_mean",
    "update": "user_update_cpu_s_mean",
    "encrypt": "user_encrypt_cpu_s_mean",
    "server": "server_cpu_s",
    "wall": "wall_s",
}

_SYNTHETIC = {"source": "synthetic", "users": 30, "items": 600, "sparsity": 0.9}
_RIDGE = {"rule": "ridge", "factors": 30, "biases": True, "mean": 3.5, "reg_user": 25, "reg_item": 5,
          "init_scale": 0.03}  # fmt: skip
_BATCH = {"rule": "batch", "factors": 60, "learning_rate": 1e-4}

SCENARIOS = {
    "packed, ridge": {
        "ratings": _SYNTHETIC,
        "model": _RIDGE,
        "protocol": {"scheme": "packed", "key_bits": 2048, "fraction_bits": 12, "update_bound": 4},
    },
    "packed, sequential": {
        "ratings": _SYNTHETIC,
        "model": {**_BATCH, "rule": "sequential"},
        "protocol": {"scheme": "packed", "key_bits": 2048},
    },
    "elementwise, batch": {
        "ratings": {**_SYNTHETIC, "users": 4, "items": 40},
        "model": {**_BATCH, "factors": 10},
        "protocol": {"scheme": "elementwise", "key_bits": 1024},
    },
    "plain, ridge": {
        "ratings": {**_SYNTHETIC, "users": 600, "items": 3000, "sparsity": 0.97},
        "model": _RIDGE,
        "protocol": {"scheme": "plain", "fraction_bits": 12, "update_bound": 4},
    },
    "plain, batch": {
        "ratings": {**_SYNTHETIC, "users": 2000, "items": 2000, "sparsity": 0.95},
        "model": _BATCH,
        "protocol": {"scheme": "plain"},
    },
}
COMMON = {
    "stop": {"rounds": 6},
    "cluster": {"backend": "serial", "users_per_actor": 5000, "checkpoint_every": "never"},
}


def checkout(revision: str, folder: Path) -> Path:
    """The code of a revision, with its native kernel built where a compiler is there."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, revision], cwd=ROOT, check=True)
    build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return folder


def measure(code: Path, scenario: Path, results: Path) -> pd.Series:
    """Mean seconds of the rounds of one run, without the first."""
    command = [sys.executable, "-m", "fedmf_ray", "run", scenario, "--results", results]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(command, cwd=code, env=environment, check=True, capture_output=True, text=True)
    rounds = pd.read_csv(Path(done.stdout.strip().splitlines()[-1]) / "rounds.csv")
    return rounds.iloc[1:][list(PHASES.values())].mean()


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("revision")
@click.option("--repeats", default=7, show_default=True)
def main(revision: str, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        earlier = checkout(revision, Path(scratch) / "earlier")
        try:
            click.echo(f"{'':20}" + "".join(f"{phase:>18}" for phase in PHASES))
            for name, tree in SCENARIOS.items():
                file = Path(scratch) / "scenario.yaml"
                file.write_text(yaml.safe_dump({"name": "revisions", **COMMON, **tree}))
                pairs = []
                for at in range(repeats):
                    sides = [ROOT, earlier] if at % 2 else [earlier, ROOT]
                    seconds = {side: measure(side, file, Path(scratch) / "results") for side in sides}
                    pairs.append((seconds[ROOT], seconds[earlier]))
                cells = []
                for column in PHASES.values():
                    ratio = statistics.median(now[column] / before[column] for now, before in pairs)
                    cells.append(f"{statistics.median(now[column] for now, _ in pairs):9.3g} s {ratio:6.3f}")
                click.echo(f"{name:20}" + "".join(f"{cell:>18}" for cell in cells))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", earlier], cwd=ROOT, check=True)
            shutil.rmtree(earlier, ignore_errors=True)


if __name__ == "__main__":
    main()
