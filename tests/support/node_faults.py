"""A small cluster on this machine whose nodes die; a program of its own, because a process has one Ray.

python -m tests.support.node_faults FOLDER SEED: what happened goes to FOLDER/told.json (Ray writes to
standard output, too).
"""

import json
import logging
import os
import random
import sys
import time
from pathlib import Path

os.environ.setdefault("RAY_health_check_initial_delay_ms", "5000")
os.environ.setdefault("RAY_health_check_period_ms", "1000")
os.environ.setdefault("RAY_health_check_failure_threshold", "4")

import ray
from ray.cluster_utils import Cluster

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.connection import import_ray
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import small

SCENARIO = {
    "cluster__backend": "ray",
    "cluster__users_per_actor": 2,
    "cluster__server_shards": 2,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 6,
}


class FaultyNodes(FaultyBackend):
    """Also kills whole nodes: a fault on ``node`` takes a raylet, and everything on it, away."""

    def __init__(self, cluster, faults, seed):
        super().__init__(faults, seed)
        self._cluster, self._mortal = cluster, [cluster.add_node(num_cpus=2) for _ in range(2)]

    def kill(self, who):
        if who != "node":
            super().kill(who)
            return
        node = self._mortal.pop(self._random.randrange(len(self._mortal)))
        time.sleep(self._random.random() * 0.02)
        self._cluster.remove_node(node, allow_graceful=False)
        self.killed.append(f"node in {dict(self._made)}")
        self._mortal.append(self._cluster.add_node(num_cpus=2))


def main(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    undisturbed = train(
        small(**SCENARIO | {"cluster__backend": "serial"}), SerialBackend(), folder / f"undisturbed-{seed}"
    )
    import_ray()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    moments = [("train", 4), ("merge", 8), ("close", 2), ("publish", 2), ("open_round", 4), ("save", 6)]
    faults = []
    for round_number, (moment, calls) in enumerate(chance.sample(moments, 3), start=1):
        who = ["node", "UserActor", "ServerActor"][(round_number + seed) % 3]
        faults.append((moment, round_number * calls + chance.randrange(calls), who))
    backend = FaultyNodes(cluster, faults, seed)
    started = time.monotonic()
    items, losses, events = train(small(**SCENARIO), backend, folder / f"faulty-{seed}")
    told = {
        "same_items": bool((items == undisturbed[0]).all()),
        "same_losses": losses == undisturbed[1],
        "killed": backend.killed,
        "events": [event for event, _ in events],
        "seconds": round(time.monotonic() - started, 1),
    }
    (folder / "told.json").write_text(json.dumps(told))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
