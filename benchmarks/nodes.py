"""Runs on a cluster of several nodes that stand on this machine, each with an object store of its own.

    python benchmarks/nodes.py placement   where actors without CPUs land: Ray's SPREAD, and placed by node
    python benchmarks/nodes.py traffic     bytes between nodes: what a run counts, beside Ray's own counters
    python benchmarks/nodes.py study       scenarios/study-workers.yaml, one node per worker

Nodes of one machine share its CPUs: more workers than these gain nothing here, whatever a cluster would show.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd

from fedmf_ray.cli.screens import StudyLog
from fedmf_ray.engine.connection import import_ray
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.run import run
from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.study import cells
from fedmf_ray.study.sweep import run_study

SCENARIOS = Path(__file__).parent.parent / "scenarios"

_EXPORTED_S = 21.0
"""Ray's nodes export their counters every ten seconds."""


@click.group(help=__doc__)
def main() -> None: ...


@contextmanager
def cluster(cpus: str) -> Iterator[Any]:
    """Ray, connected to a new cluster with nodes of so many CPUs, the head first (``1,2,2``)."""
    ray = import_ray()
    from ray.cluster_utils import Cluster

    head, *others = map(int, cpus.split(","))
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": head, "include_dashboard": False})
    for count in others:
        nodes.add_node(num_cpus=count)
    ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield ray
    finally:
        ray.shutdown()
        nodes.shutdown()


class Idle:
    """An actor that says where it is."""

    def where(self) -> str:
        node_id: str = import_ray().get_runtime_context().get_node_id()
        return node_id


@main.command()
@click.option("--nodes", default="1,2,2", show_default=True, help="CPUs of each node.")
@click.option("--actors", default=10, show_default=True)
@click.option("--turns", default=3, show_default=True)
def placement(nodes: str, actors: int, turns: int) -> None:
    """How many of some actors land on each node."""
    with cluster(nodes) as ray:
        order = sorted(ray.nodes(), key=lambda node: (node["Resources"]["CPU"], node["NodeID"]))

        def show(how: str, places: list[str]) -> None:
            found = Counter(places)
            counts = ", ".join(
                f"{found[node['NodeID']]} on {node['Resources']['CPU']:g} CPUs" for node in order
            )
            print(f"{how:20} {counts}")

        for _ in range(turns):
            spread = ray.remote(Idle).options(num_cpus=0, scheduling_strategy="SPREAD")
            started = [spread.remote() for _ in range(actors)]
            show("SPREAD", ray.get([actor.where.remote() for actor in started]))
            backend = RayBackend(None)
            backend.prepare(actors, ServerActor, 1)
            placed = [backend.start(Idle) for _ in range(actors)]
            show("placed by node", backend.get([backend.call(actor, "where") for actor in placed]))
            backend.close()


@main.command()
@click.option("--nodes", default="1,2,2", show_default=True, help="CPUs of each node.")
@click.option("--schemes", default="plain,masked,packed", show_default=True)
@click.option("--items", default=3000, show_default=True)
def traffic(nodes: str, schemes: str, items: int) -> None:
    """10 users in 5 actors, 2 servers, 3 rounds: bytes that moved between nodes."""
    with cluster(nodes) as ray, tempfile.TemporaryDirectory() as folder:
        before = _received(ray)
        for scheme in schemes.split(","):
            tree = {
                "name": "nodes",
                "ratings": {"source": "synthetic", "users": 10, "items": items, "sparsity": 0.5},
                "model": {"factors": 20, "learning_rate": 0.002},
                "protocol": {"scheme": scheme, "key_bits": 2048},
                "stop": {"rounds": 3},
                "cluster": {"users_per_actor": 2, "server_shards": 2, "checkpoint_every": "never"},
            }
            path = run(scenario_file.parse(tree, "nodes"), Path(folder), Silent())
            counted = json.loads((path / "summary.json").read_text())["between_nodes"]
            time.sleep(_EXPORTED_S)
            after = _received(ray)
            total = counted.pop("total_bytes")
            stored = total - counted.pop("small_bytes")
            print(f"{scheme:8} counted {total:12,} bytes, of which large values {stored:12,}, ", end="")
            print(f"by Ray {after - before:12,.0f}")
            print("         " + ", ".join(f"{name} {count:,}" for name, count in counted.items()), flush=True)
            before = after


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=SCENARIOS / "study-workers.yaml")
@click.option("--most", default=4, show_default=True, help="Leave out cells with more workers.")
@click.option("--nodes", default="1,1,1,1", show_default=True, help="CPUs of each node.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def study(file: Path, most: int, nodes: str, results: Path) -> None:
    """Run a study; print seconds per round of each cell, and the bytes per round that moved between nodes."""
    whole = cells.load(file)
    few = tuple(cell for cell in whole.cells if _workers(cell.scenario) <= most)
    with cluster(nodes):
        path = run_study(dataclasses.replace(whole, cells=few), results, StudyLog(whole.name)).path
    print(path)
    for cell in few:
        folder = path / "cells" / cell.name
        seconds = pd.read_csv(folder / "rounds.csv")["wall_s"].median()
        summary = json.loads((folder / "summary.json").read_text())
        moved = summary.get("between_nodes", {}).get("total_bytes", 0) / summary["rounds"]
        print(
            f"{summary['last_round']['users']:6,} users, {_workers(cell.scenario):3} workers: "
            f"{seconds:7.3f} s per round, {moved:12,.0f} bytes between nodes per round"
        )


def _workers(scenario: Scenario) -> int:
    """Of one cell; the studies over workers give both numbers."""
    return -(-scenario.ratings.users // scenario.cluster.users_per_actor)  # type: ignore[attr-defined]


def _received(ray: Any) -> float:
    """Bytes that all nodes have received from others, by Ray's own counters."""
    total = 0.0
    for node in ray.nodes():
        place = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        text = urllib.request.urlopen(place, timeout=10).read().decode()
        for line in text.splitlines():
            if line.startswith("ray_object_manager_bytes") and 'Type="Received' in line:
                total += float(line.rpartition(" ")[2])
    return total


if __name__ == "__main__":
    main()
