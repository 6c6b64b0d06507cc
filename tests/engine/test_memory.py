"""Who has what in memory, in the middle of a run on a real Ray: the driver and the servers have nothing that
only users may see."""

import contextlib
import json
import os
import pickle
import random
import subprocess
import sys

import pytest

from tests.support import memory

pytestmark = pytest.mark.slow

SYNTHETIC = "{source: synthetic, users: 6, items: 20, sparsity: 0.3}"
SCENARIO = """
name: watched
ratings: %s
model: {factors: 8, learning_rate: 0.02, init_scale: 0.3}
protocol: {scheme: %s, key_bits: 1024}
stop: {rounds: 6}
cluster: {backend: ray, users_per_actor: 3}
"""


class Watched:
    """pids: by role. patterns: of each user actor, by what they are."""

    def __init__(self, pids, patterns):
        self.pids, self.patterns = pids, patterns
        self.all = {f"{at} {name}": it for at, some in enumerate(patterns) for name, it in some.items()}

    def held(self, role):
        """By all processes of a role together, of what any user knows."""
        return set().union(*(memory.held(pid, self.all) for pid in self.pids[role]))


@contextlib.contextmanager
def stopped_in_the_middle(scenario, folder, root):
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc, which only Linux has")
    path = folder / "watched.yaml"
    path.write_text(scenario)
    command = [sys.executable, "-m", "tests.support.watched_run", str(path), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(root), "FEDMF_STATE": str(folder / "state")}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        pids = json.loads(run.stdout.readline())
        if reason := memory.obstacle(pids["users"][0]):
            pytest.skip(reason)
        told = [pickle.loads((folder / f"user-{at}").read_bytes()) for at in range(len(pids["users"]))]
        yield Watched(pids, told)
        run.communicate()


@pytest.fixture(scope="module", params=["packed", "elementwise"])
def watched(request, tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("watched")
    with stopped_in_the_middle(SCENARIO % (SYNTHETIC, request.param), folder, root) as run:
        yield run


@pytest.mark.parametrize("role", ["driver", "servers"])
def test_has_nothing_that_only_users_may_see(watched, role):
    assert all(memory.shares_store(pid) for pid in watched.pids[role]), "the store is looked through, too"
    assert watched.held(role) == set()


def test_users_have_it(watched):
    """So the search finds what is there."""
    for pid, patterns in zip(watched.pids["users"], watched.patterns, strict=True):
        held = memory.held(pid, patterns)
        wanted = {name for name in patterns if name.startswith(("table", "vector", "secret"))}
        wanted |= {name for name in patterns if name.startswith("V ") and name.endswith("floats")}
        assert wanted | {"ratings"} <= held
        assert {f"{prime}, Python's digits" for prime in "pq"} <= held


def test_ratings_from_a_file_pass_through_the_driver_and_no_server(tmp_path, root):
    """Some process must read the file. What it hands on, it seals."""
    ratings, chance = tmp_path / "ratings.csv", random.Random(5)
    rows = (f"{user},{item},{chance.randint(1, 10) / 2}\n" for user in range(6) for item in range(20))
    ratings.write_text("user,item,rating\n" + "".join(rows))
    source = f"{{source: file, path: {ratings}}}"
    with stopped_in_the_middle(SCENARIO % (source, "packed"), tmp_path, root) as run:
        assert run.held("servers") == set()
        assert {name.split(" ", 1)[1] for name in run.held("driver")} <= {"ratings", "ratings as given"}
