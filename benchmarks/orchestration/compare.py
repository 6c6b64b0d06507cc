"""Seconds per round and memory of fedmf-ray beside a NumPy loop, Flower's simulation and Apple's pfl.

python benchmarks/orchestration/compare.py [--users 100,610] [--tools numpy,fedmf_ray]     (Linux)

All tools do the same work: scheme `plain`, rule `batch`, 100 ratings per user, 1,682 items, d = 100, every
user in every round. The foreign tools get their own environments (pip; kept in --envs). Each tool runs in a
separate process; tools take turns. Seconds are medians over the rounds of all turns, without the first
round of each turn. Memory is the peak PSS of all processes of the tool, set-up included.

All tools must report the same squared errors at the start of every round, to within 1e-6. fedmf-ray rounds
the item matrix and each step to its grid of 2^-20; the others do not round. With 6,040 users on two cores,
Flower takes minutes per round: leave it out with --tools, or use --flower-rounds 2.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from environments import CannotInstall, python_of
from memory import PeakMemory
from population import CPUS, make

OURS = "fedmf_ray"
ENVIRONMENTS = {
    "numpy": "own",
    OURS: "own",
    "ray_actors": "own",
    "pfl": "pfl",
    "pfl_rows": "pfl",
    "flower": "flower",
}
TOLERANCE = 1e-6
ROUNDS = {100: 50, 610: 20, 6040: 10}
FLOWER_ROUNDS = {100: 5, 610: 3, 6040: 2}
"""Flower has only one turn, and its first round does not count."""
TARGET_S = {610: 0.1, 6040: 0.5}
TARGET_RATIOS = {("flower", 610): 100, ("pfl", 6040): 3}

FORMATS = {
    "s per round": "{:.4f}".format,
    f"x {OURS}": "{:.2f}".format,
    "peak GB": "{:.2f}".format,
    "squared error": "{:.3f}".format,
    "off by": "{:.0e}".format,
}

QUIET = {
    "OMP_NUM_THREADS": "1",  # as in Ray's workers, for every tool
    "OPENBLAS_NUM_THREADS": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Turn(NamedTuple):
    """One process of one tool: (rounds,) wall seconds and squared errors, and gigabytes."""

    seconds: np.ndarray
    squared_errors: np.ndarray
    peak_gb: float


def run_tool(tool: str, python: Path, population: Path, rounds: int) -> Turn:
    command = [str(python), str(Path(__file__).with_name("tool.py")), tool, str(population), str(rounds)]
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ | QUIET
    ) as process:  # fmt: skip
        try:
            with PeakMemory(process.pid) as memory:
                printed, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
        errors.seek(0)
        tail = errors.read()[-2000:]
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"round"')]
    if process.returncode or len(lines) != rounds:
        raise click.ClickException(f"{tool} ended after {len(lines)} of {rounds} rounds:\n{tail}")
    table = pd.DataFrame(lines)
    return Turn(table["seconds"].to_numpy(), table["squared_error"].to_numpy(), memory.gb)


def compare(pythons: dict[str, Path], users: int, turns: int, flower_rounds: int | None) -> pd.DataFrame:
    """A row per tool. Raises if a tool did different work."""
    runs: dict[str, list[Turn]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        make(users).save(Path(folder))
        for turn in range(turns):
            for tool, python in pythons.items():
                rounds = ROUNDS.get(users, 10)
                if tool == "flower":
                    if turn:
                        continue
                    rounds = flower_rounds or FLOWER_ROUNDS.get(users, 2)
                runs[tool].append(run_tool(tool, python, Path(folder), rounds))
    common = min(len(turn.seconds) for done in runs.values() for turn in done)
    expected = next(iter(runs.values()))[0].squared_errors[:common]
    rows = []
    for tool, done in runs.items():
        off = max(float(np.abs(turn.squared_errors[:common] / expected - 1).max()) for turn in done)
        if off > TOLERANCE:
            raise click.ClickException(f"{tool} is off by {off:.1e} of the squared error: not the same work")
        rows.append(
            {
                "tool": tool,
                "users": users,
                "s per round": np.median(np.concatenate([turn.seconds[1:] for turn in done])),
                "rounds": sum(len(turn.seconds) - 1 for turn in done),
                "peak GB": max(turn.peak_gb for turn in done),
                "compared after": common - 1,
                "squared error": done[0].squared_errors[common - 1],
                "off by": off,
            }
        )
    table = pd.DataFrame(rows)
    if OURS in runs:
        own = float(table.loc[table["tool"] == OURS, "s per round"].iloc[0])
        table.insert(3, f"x {OURS}", table["s per round"] / own)
    return table


def verdicts(table: pd.DataFrame, users: int) -> list[str]:
    """Lines for the targets to which this table applies."""
    seconds = dict(zip(table["tool"], table["s per round"], strict=True))
    lines = []
    if OURS in seconds and users in TARGET_S:
        good = "met" if seconds[OURS] <= TARGET_S[users] else "missed"
        lines.append(f"{OURS}: {seconds[OURS]:.3f} s per round, target {TARGET_S[users]} s: {good}")
    for (tool, at), target in TARGET_RATIOS.items():
        if at == users and tool in seconds and OURS in seconds:
            ratio = seconds[tool] / seconds[OURS]
            good = "met" if ratio >= target else "missed"
            lines.append(f"{OURS}: {ratio:.1f} times faster than {tool}, target {target}: {good}")
    return lines


@click.command(help=__doc__)
@click.option("--users", default="100,610,6040", show_default=True, help="At least 100.")
@click.option("--tools", default=",".join(ENVIRONMENTS), show_default=True)
@click.option("--turns", default=2, show_default=True, help="Turns of every tool except Flower.")
@click.option("--flower-rounds", type=click.IntRange(2), help="Rounds of Flower, at every number of users.")
@click.option("--envs", type=Path, default=Path.home() / ".cache" / "fedmf-ray" / "bench", show_default=True)
@click.option("-o", "--output", type=Path, help="Also write the tables as one CSV file.")
def main(
    users: str, tools: str, turns: int, flower_rounds: int | None, envs: Path, output: Path | None
) -> None:
    pythons = {}
    for tool in tools.split(","):
        try:
            pythons[tool] = python_of(ENVIRONMENTS[tool], envs)
        except CannotInstall as error:
            click.echo(f"{tool} cannot be installed and is left out: {error}")
    click.echo(f"{os.cpu_count()} CPUs, {CPUS} for each tool; load {os.getloadavg()[0]:.1f}")
    tables = []
    for count in map(int, users.split(",")):
        table = compare(pythons, count, turns, flower_rounds)
        tables.append(table)
        click.echo(table.to_string(index=False, formatters=FORMATS))
        click.echo("\n".join([*verdicts(table, count), ""]))
        if output:
            pd.concat(tables).to_csv(output, index=False)


if __name__ == "__main__":
    sys.exit(main())
