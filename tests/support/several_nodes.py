"""A small cluster of three nodes on this machine; a program of its own, because a process has one Ray.

python -m tests.support.several_nodes FOLDER: what happened goes to FOLDER/told.json (Ray writes to standard
output, too).
"""

import json
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("RAY_health_check_initial_delay_ms", "5000")
os.environ.setdefault("RAY_health_check_period_ms", "1000")
os.environ.setdefault("RAY_health_check_failure_threshold", "4")

import numpy
import ray
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.cluster_utils import Cluster

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.connection import import_ray
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.errors import FedMFError
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import small

SCENARIO = {
    "cluster__backend": "ray",
    "cluster__users_per_actor": 2,
    "ratings__users": 6,
    "ratings__items": 1500,
    "model__factors": 20,
    "model__learning_rate": 0.002,
    "protocol__scheme": "plain",
    "stop__rounds": 4,
}


class Recording(RayBackend):
    """Remembers on which node each actor was started, and says what its actors may ask for."""

    def __init__(self, **options):
        super().__init__(None, **options)
        self.started, self.placed = [], Counter()

    def start(self, kind, *args):
        self.started.append((kind.__name__, super().start(kind, *args)))
        return self.started[-1][1]

    def call_split(self, returns, actor, method, *args):
        if method == "close":  # by then all have answered
            self.placed = Counter((name, self._nodes.of(one)) for name, one in self.started)
        return super().call_split(returns, actor, method, *args)


class Newcomers(FaultyBackend):
    """In the second round a node joins, and then a node dies."""

    def __init__(self, cluster, node, join):
        super().__init__([("train", 5, "node")])
        self._cluster, self._node, self._join = cluster, node, join

    def kill(self, who):
        self.joined = self._join()
        self._cluster.remove_node(self._node, allow_graceful=False)
        time.sleep(1.1)  # the list of nodes is read again


def other_numpy(folder: Path) -> dict[str, str]:
    """The environment of a node whose NumPy says that it is another."""
    (folder / "sitecustomize.py").write_text("import numpy\nnumpy.__version__ = '2.0.2'\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def counts(placed, ray_nodes):
    """Of users and servers, by CPUs of the node."""
    cpus = {node["NodeID"]: int(node["Resources"]["CPU"]) for node in ray_nodes}
    return {
        kind: sorted((cpus[node_id], count) for (name, node_id), count in placed.items() if name == kind)
        for kind in ("UserActor", "ServerActor")
    }


def demand():
    """How many CPUs the cluster lacks, by what an autoscaler reads; waits until it lacks some."""
    for _ in range(60):
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        bundles = [
            bundle
            for asked in status.resource_demands.ray_task_actor_demand
            for bundle in asked.bundles_by_count
        ]
        if bundles:
            return sum(bundle.bundle["CPU"] * bundle.count for bundle in bundles)
        time.sleep(0.5)
    return 0


def main(folder: Path) -> None:
    undisturbed = train(
        small(**SCENARIO | {"cluster__backend": "serial"}), SerialBackend(), folder / "undisturbed"
    )
    import_ray()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    told = {"numpy": ".".join(numpy.__version__.split(".")[:2])}

    def same(outcome):
        return bool((outcome[0] == undisturbed[0]).all()) and outcome[1] == undisturbed[1]

    asking = Recording(actor_cpus=1.0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(train, small(**SCENARIO, cluster__actor_cpus=1.0), asking, folder / "asking")
        told["demand"] = demand()
        cluster.add_node(num_cpus=2)
        largest = cluster.add_node(num_cpus=3)
        told["asking_same"] = same(running.result())
    told["asking"] = counts(asking.placed, ray.nodes())

    apart = Recording()
    told["apart_same"] = same(train(small(**SCENARIO, cluster__server_shards=2), apart, folder / "apart"))
    told["apart"], told["apart_moved"] = counts(apart.placed, ray.nodes()), apart.moved()

    backend = Newcomers(cluster, largest, lambda: cluster.add_node(num_cpus=3))
    outcome = train(small(**SCENARIO), backend, folder / "joined")
    hosts = {node_id for node_id, _ in backend._nodes._hosted.values()}
    told["joined_same"], told["joined_used"] = same(outcome), backend.joined.node_id in hosts
    told["joined_events"] = [event for event, _ in outcome[2]]

    other = cluster.add_node(num_cpus=2, env_vars=other_numpy(folder))
    told["other"] = other.node_id
    try:
        train(small(**SCENARIO), RayBackend(None), folder / "other")
    except FedMFError as error:
        told["refused"] = str(error)
    (folder / "told.json").write_text(json.dumps(told))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
