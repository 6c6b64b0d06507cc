"""A run that stops in the middle, so that its processes can be looked at.

python -m tests.support.watched_run SCENARIO FOLDER: trains three rounds on a Ray of its own, has each user
actor write what it must keep to itself into FOLDER, prints the numbers of all processes as a line of JSON,
and ends when standard input does. The secrets do not pass through this process.
"""

import json
import logging
import os
import pickle
import sys
from itertools import islice
from pathlib import Path

from fedmf_ray.engine import crew
from fedmf_ray.engine.connection import import_ray
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.run import checkpoints_of
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.planning.plan import Plan
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes.numbers import array_to_numbers
from tests.support.memory import spellings

ROUNDS, ROWS = 3, 5


class Telling(UserActor):
    """Says on disk what its users know."""

    def tell(self, path):
        patterns, users, items = {}, self._users, self._open[0]
        if secrets := self._key.secrets():
            for name, prime in zip("pq", array_to_numbers(secrets["primes"]), strict=True):
                patterns |= spellings(name, int(prime))
        if table := getattr(self._key, "_table", None):
            for half in range(2):
                for row, digit in ((0, 5), (1, 7), (60, 200)):
                    entry = table.entries[half, row, digit]
                    patterns[f"table entry {half} {row} {digit}"] = entry.tobytes()
        for row, values in enumerate(items[:ROWS]):
            integers = self._terms.items.to_integers(values[None])
            patterns |= {f"V {row}, floats": values.tobytes(), f"V {row}, integers": integers.tobytes()}
        first, stop = users.train.starts[:2]
        ratings = users.train.values[first:stop]
        given = ratings + self._terms.setting.steps.mean
        patterns |= {"ratings": ratings.tobytes(), "ratings as given": given.tobytes()}
        patterns["vector"] = users.opened[0].tobytes()
        if session := getattr(self, "_session", None):
            patterns["secret of the session"] = session.secret
        path.write_bytes(pickle.dumps(patterns))


def main(scenario, folder):
    chosen = scenario_file.load(Path(scenario))
    ray = import_ray()
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 << 20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    crew.UserActor = Telling
    backend = RayBackend(None)
    try:
        federation = Federation(
            chosen, Plan.of(chosen), backend, Silent(), checkpoints_of(Path(folder) / "run", chosen)
        )
        for _ in islice(federation.rounds(), ROUNDS):
            pass
        users, servers = federation._crew.users, federation._crew.servers
        for at, user in enumerate(users):
            backend.get(backend.call(user, "tell", Path(folder) / f"user-{at}"))
        pids = {
            "driver": [os.getpid()],
            "servers": backend.get([backend.call(server, "ping") for server in servers]),
            "users": backend.get([backend.call(user, "ping") for user in users]),
        }
        print(json.dumps(pids), flush=True)
        sys.stdin.read()
    finally:
        backend.close()
        ray.shutdown()


if __name__ == "__main__":
    from tests.support.watched_run import main as importable  # workers import what they are sent

    importable(*sys.argv[1:])
