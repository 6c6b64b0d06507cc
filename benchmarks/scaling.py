"""How well a simulation scales over the CPUs of this machine, as ratios within one run.

    python benchmarks/scaling.py workers      encrypted users per second: two user actors against one
    python benchmarks/scaling.py servers      additions per second: two servers against one
    python benchmarks/scaling.py memory       100,000 users x 10,000 items: one round, and its peak memory
    python benchmarks/scaling.py sizes        the sizes of MovieLens-1M and 25M: set-up, rounds, memory
    python benchmarks/scaling.py als          a round of that size beside a sweep of a central library
    python benchmarks/scaling.py rounds       memory over a thousand rounds
    python benchmarks/scaling.py checkpoints  share of a run that checkpoints take at the default interval

Settings that are compared take turns (A B A B), so that drift of the machine affects both equally. Seconds
are wall time; nothing else should run on the machine.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from orchestration.environments import python_of
from orchestration.memory import PeakMemory, pss_gb, tree

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.run import run
from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.fixed_point import FixedPoint, to_integers
from fedmf_ray.planning.placement import memory_of
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.messages import NOBODY, EncryptedItems, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.ratings.users import GeneratedMembers
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes import Packed, Shape

SCENARIOS = Path(__file__).parent.parent / "scenarios"


@click.group(help=__doc__)
def main() -> None: ...


def run_of(results: Path, **changes) -> Path:
    """Run synthetic users with the given changes, and return the run folder."""
    tree = {
        "name": "scaling",
        "ratings": {"source": "synthetic", "users": 60, "items": 600, "sparsity": 0.8},
        "model": {"factors": 100, "learning_rate": 1e-4, "rule": "batch"},
        "protocol": {"key_bits": 3072},
        "stop": {"rounds": 3},
        "cluster": {"users_per_actor": "auto"},
    }
    for dotted, value in changes.items():
        scenario_file.assign(tree, dotted.replace("__", "."), value)
    return run(scenario_file.parse(tree, "scaling"), results, Silent())


@main.command()
@click.option("--users", default=120, show_default=True)
@click.option("--turns", default=3, show_default=True)
def workers(users: int, turns: int) -> None:
    """Two user actors on two CPUs against one; 600 items, 120 ratings per user, 3072 bits, part text."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as results:
        for _, actors in itertools.product(range(turns), seconds):
            folder = run_of(Path(results), ratings__users=users, cluster__users_per_actor=-(-users // actors))
            rounds = pd.read_csv(folder / "rounds.csv")
            seconds[actors] += rounds["wall_s"].tolist()[1:]
    one, two = (statistics.median(seconds[actors]) for actors in (1, 2))
    print(f"one actor {users / one:8.1f} encrypted users per second ({one:.2f} s per round)")
    print(f"two       {users / two:8.1f}{'':27}({two:.2f} s): {one / two:.2f} x (target 1.8)")


@main.command()
@click.option("--key-bits", default=3072, show_default=True)
@click.option("--turns", default=5, show_default=True)
def servers(key_bits: int, turns: int) -> None:
    """Two servers on two CPUs against one; uploads of 200 rows are ready in the object store."""
    rows, users, copies = 1000, 24, 60
    grid = FixedPoint(20, 16.0, 0.5, users * copies)
    evaluator, key = Packed(key_bits).sides(Shape(100, grid.slot_bits))
    random = np.random.default_rng(0)
    whole = key.encrypt(np.zeros((rows, 100), np.int64))
    parts = []
    for _ in range(users):
        blocks = np.sort(random.choice(rows, 200, replace=False))
        steps = to_integers(random.uniform(-0.1, 0.1, (200, 100)), grid.scale)
        parts.append((blocks, key.encrypt(steps)))
    backend = RayBackend("local")
    try:
        seconds = {count: [] for count in (1, 2)}
        for _, count in itertools.product(range(turns), seconds):
            seconds[count].append(_adding(backend, evaluator, key, whole, parts, copies, count))
    finally:
        backend.close()
    one, two = (statistics.median(seconds[count]) for count in (1, 2))
    adds = users * copies * 200
    print(f"one server {adds / one:9.0f} additions per second, {key_bits} bits ({one:.2f} s)")
    print(f"two        {adds / two:9.0f}{'':33}({two:.2f} s): {one / two:.2f} x (target 1.7)")


def _adding(backend, evaluator, key, whole, parts, copies, count) -> float:
    """Seconds that ``count`` servers take to check and add all uploads."""
    borders = [len(whole) * at // count for at in range(count + 1)]
    started, receiving = 0.0, []
    actors, batches = [], []
    for first, stop in itertools.pairwise(borders):
        user, mine = itertools.count(), []
        for _ in range(copies):
            batch = []
            for blocks, wire in parts:
                inside = (blocks >= first) & (blocks < stop)
                tag = key.encrypt(np.zeros((1, 100), np.int64))[0, 0]
                batch.append(Upload(0, next(user), blocks[inside], wire[inside], tag))
            mine.append(batch)
        announced = np.array([len(upload.blocks) for batch in mine for upload in batch])
        items = EncryptedItems(0, first, whole[first:stop], tag, NOBODY)
        actors.append(
            backend.start(ServerActor, evaluator, items, Roster(np.arange(len(announced)), announced))
        )
        batches.append([backend.run(_same, batch) for batch in mine])
    backend.get([backend.call(actor, "ping") for actor in actors])
    backend.get([backend.call(actor, "receive", []) for actor in actors])
    for batch in itertools.chain(*batches):
        backend.get(batch)
    started = time.perf_counter()
    for turn in zip(*batches, strict=True):
        receiving += [
            backend.call(actor, "receive", batch) for actor, batch in zip(actors, turn, strict=True)
        ]
    receipts = backend.get(receiving)
    seconds = time.perf_counter() - started
    if any(receipt.refused for receipt in receipts):
        raise ArithmeticError("a server refused an upload: what was timed is not a round")
    for actor in actors:
        backend.end(actor)
    return seconds


def _same(value):
    """Put a value into the object store."""
    return value


@main.command()
@click.option("--users", default=100_000, show_default=True)
def memory(users: int) -> None:
    """scenarios/scale-100k.yaml: one unencrypted round, and the peak memory of all processes."""
    chosen = scenario_file.load(SCENARIOS / "scale-100k.yaml", [f"ratings.users={users}"])
    with tempfile.TemporaryDirectory() as results, PeakMemory(os.getpid()) as peak:
        folder = run(chosen, Path(results), Silent())
        summary = json.loads((folder / "summary.json").read_text())
    row = summary["last_round"]
    print(f"{users:,} users x 10,000 items, plain: {row['wall_s']:.1f} s per round, generating ratings")
    print(f"{summary['setup']['wall_s']:.0f} s; peak {peak.gb:.2f} GB in all processes (target: under 6)")


@main.command()
@click.option("--count", default=1000, show_default=True)
@click.option("--schemes", default="plain,masked", show_default=True)
def rounds(count: int, schemes: str) -> None:
    """Memory of all processes over so many rounds of 200 users and 500 items: it should stay."""
    sizes: dict[int, float] = {}

    class Weighed(Silent):
        def round(self, row: Mapping[str, Any], rounds: int) -> None:
            if row["round"] % (count // 10) == 0:
                sizes[row["round"]] = sum(map(pss_gb, tree(os.getpid())))

    changes = [
        f"stop.rounds={count}",
        "ratings.users=200",
        "ratings.items=500",
        "cluster.users_per_actor=auto",
    ]
    for scheme in schemes.split(","):
        chosen = scenario_file.load(SCENARIOS / "quickstart.yaml", [*changes, f"protocol.scheme={scheme}"])
        with tempfile.TemporaryDirectory() as results:
            run(chosen, Path(results), Weighed())
        first, *_, last = list(sizes.values())[1:]
        shown = ", ".join(f"{number}: {1e3 * gb:.0f}" for number, gb in sizes.items())
        print(f"{scheme:7} MB after round {shown}; from the second on {100 * (last / first - 1):+.1f} %")
        sizes.clear()


@main.command()
@click.option("--names", default="scale-1m,scale-25m", show_default=True)
@click.option("--schemes", default="plain,masked", show_default=True)
@click.argument("changes", nargs=-1)
def sizes(names: str, schemes: str, changes: tuple[str, ...]) -> None:
    """Ridge with 30 factors on synthetic ratings, unless KEY=VALUE changes that: seconds of set-up and of
    rounds, peak memory beside what was estimated. 25 million ratings take some minutes."""
    for name, scheme in itertools.product(names.split(","), schemes.split(",")):
        chosen = scenario_file.load(SCENARIOS / f"{name}.yaml", [f"protocol.scheme={scheme}", *changes])
        plan = Plan.of(chosen)
        estimated = memory_of(plan).whole(os.cpu_count() or 1, len(plan.population.user_ids)) / 1e9
        with tempfile.TemporaryDirectory() as results, PeakMemory(os.getpid()) as peak:
            folder = run(chosen, Path(results), Silent())
            summary = json.loads((folder / "summary.json").read_text())
            seconds = pd.read_csv(folder / "rounds.csv")["wall_s"]
        print(
            f"{name:10} {scheme:7} set-up {summary['setup']['wall_s']:6.1f} s, "
            f"rounds {', '.join(f'{one:.2f}' for one in seconds)} s; "
            f"peak {peak.gb:.2f} GB, estimated {estimated:.2f} ({estimated / peak.gb:.2f} x)",
            flush=True,
        )


@main.command()
@click.option("--name", default="scale-25m", show_default=True)
@click.option("--schemes", default="plain,masked", show_default=True)
@click.option("--sweeps", default=3, show_default=True)
@click.option("--envs", type=Path, default=Path.home() / ".cache" / "fedmf-ray" / "bench", show_default=True)
def als(name: str, schemes: str, sweeps: int, envs: Path) -> None:
    """The fastest round of a scenario beside the fastest sweep of implicit's ALS (in an environment of its
    own, as many threads as CPUs) over the same ratings. A round of `ridge` is a sweep, too: users solve,
    items take a step."""
    python, cpus = python_of("implicit", envs), os.cpu_count() or 1
    plan = Plan.of(scenario_file.load(SCENARIOS / f"{name}.yaml"))
    factors = plan.terms.setting.factors
    with tempfile.TemporaryDirectory() as folder:
        ratings = Path(folder) / "ratings.npz"
        _export(plan, ratings)
        script = Path(__file__).parent / "als_sweeps.py"
        told = subprocess.check_output(
            [python, script, ratings, str(factors), str(cpus), str(sweeps)],
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        central = {one["way"]: min(one["seconds"]) for one in map(json.loads, told.splitlines())}
        for scheme in schemes.split(","):
            chosen = scenario_file.load(SCENARIOS / f"{name}.yaml", [f"protocol.scheme={scheme}"])
            found = run(chosen, Path(folder) / "results", Silent())
            seconds = pd.read_csv(found / "rounds.csv")["wall_s"].min()
            beside = ", ".join(
                f"{way} {took:.2f} s ({seconds / took:.2f} x)" for way, took in central.items()
            )
            print(f"{name} {scheme:7} a round {seconds:.2f} s; ALS, d = {factors}: {beside}", flush=True)


def _export(plan: Plan, path: Path) -> None:
    """Everybody's training ratings."""
    members = plan.population.members(0, len(plan.population.user_ids))
    if isinstance(members, GeneratedMembers):
        members = [members.recipe.user(user_id) for user_id in members.user_ids]
    starts = np.cumsum([0, *(len(user.items) for user in members)])
    items = np.concatenate([user.items for user in members]).astype(np.int32)
    np.savez(
        path,
        starts=starts,
        items=items,
        ratings=np.concatenate([user.values for user in members], dtype=np.float32, casting="same_kind"),
    )


@main.command()
def checkpoints() -> None:
    """Share of a run at the default interval, for the fastest rounds and for encrypted ones."""
    cases = {
        "plain, 610 users": {"protocol__scheme": "plain", "ratings__users": 610, "stop__rounds": 60},
        "plain, 6,040 users": {"protocol__scheme": "plain", "ratings__users": 6040, "stop__rounds": 20},
        "packed 3072, 60 users": {"stop__rounds": 4},
    }
    with tempfile.TemporaryDirectory() as results:
        for name, changes in cases.items():
            summary = json.loads((run_of(Path(results), **changes) / "summary.json").read_text())
            saved = summary["checkpoints"]
            each = saved["wall_s"] / saved["written"]
            share = saved["wall_s"] / summary["wall_s"]
            print(
                f"{name:24} {saved['written']:3} checkpoints in {summary['rounds']:3} rounds, "
                f"{each * 1e3:6.1f} ms each: {share:6.1%} of the run (target: under 5 %)"
            )


if __name__ == "__main__":
    main()
