"""Several nodes: who is put where, what moves between them, and nodes that run something else."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fedmf_ray.engine import nodes, versions
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.nodes import Nodes
from fedmf_ray.engine.traffic import Traffic
from fedmf_ray.errors import FedMFError


class Users: ...


class Servers: ...


class Known(dict):
    """No node is asked: all run the same."""

    def __missing__(self, _):
        return None

    def __contains__(self, _):
        return True


@pytest.fixture
def cluster(monkeypatch):
    """Nodes of a cluster with so many CPUs each, by name."""
    monkeypatch.setattr(nodes, "_OBSTACLES", Known())

    def made(**cpus):
        listed = [
            {
                "NodeID": name,
                "NodeManagerAddress": name,
                "Alive": True,
                "Resources": {"CPU": count} if count else {},
            }
            for name, count in cpus.items()
        ]
        return Nodes(SimpleNamespace(nodes=lambda: listed, remote=lambda _: None))

    return made


def placed(cluster, kind, count):
    found = []
    for number in range(count):
        found.append(cluster.choose(kind))
        cluster.put((kind, number), kind, found[-1])
    return sorted(found)


def test_users_are_placed_by_cpus_and_servers_one_per_node(cluster):
    three = cluster(a=1, b=2, c=4)
    three.prepare(7, Servers, 2)
    assert placed(three, Users, 7) == ["a", "b", "b", "c", "c", "c", "c"]
    assert len(set(placed(three, Servers, 2))) == 2


def test_servers_have_nodes_of_their_own_where_the_others_have_cpus_for_all_actors(cluster):
    four = cluster(a=4, b=4, c=2, d=2)
    four.prepare(8, Servers, 2)
    assert set(placed(four, Users, 8)) == {"a", "b"}
    assert placed(four, Servers, 2) == ["c", "d"]
    four = cluster(a=4, b=4, c=2, d=2)
    four.prepare(9, Servers, 2)
    assert set(placed(four, Users, 12)) == {"a", "b", "c", "d"}


def test_a_head_without_cpus_hosts_nothing(cluster):
    assert set(placed(cluster(head=0, a=1, b=1), Users, 4)) == {"a", "b"}


def test_on_one_node_there_is_no_choice(cluster):
    assert cluster(a=8).choose(Users) is None


def test_what_has_ended_makes_room(cluster):
    two = cluster(a=1, b=1)
    assert placed(two, Users, 2) == ["a", "b"]
    two.forget((Users, 0))
    assert two.choose(Users) == "a"


def test_versions_that_differ_are_named():
    assert versions.difference(versions.here()) is None
    assert versions.here()["fedmf-ray"].startswith("0.")
    found = versions.difference({**versions.here(), "Python": "2.7", "Ray": "1.0"})
    assert found.startswith("Python 2.7 instead of 3.")
    assert ", Ray 1.0 instead of" in found


class Value:
    """Stands for a reference to a value of some size, in the store of some nodes or in none."""

    def __init__(self, name, size, *stored):
        self.name, self.place = name, {"object_size": size, "node_ids": list(stored)}

    def binary(self):
        return self.name


@pytest.fixture
def traffic():
    context = SimpleNamespace(get_node_id=lambda: "driver")
    experimental = SimpleNamespace(
        get_local_object_locations=lambda values: {value: value.place for value in values}
    )
    return Traffic(SimpleNamespace(get_runtime_context=lambda: context, experimental=experimental))


def test_a_large_value_is_counted_once_per_node(traffic):
    value = Value("V", 10**6, "a")
    traffic.made([value], "a")
    for node in ("a", "b", "b", "c", "b"):
        traffic.used("open_round", node, [value])
    assert traffic.sums() == {"total_bytes": 2 * 10**6, "small_bytes": 0, "open_round_bytes": 2 * 10**6}


def test_a_small_value_goes_through_the_driver_with_each_call(traffic):
    value = Value("V", 100)
    traffic.made([value], "a")
    for node in ("b", "b", "driver"):
        traffic.used("open_round", node, [value])
    assert traffic.sums()["total_bytes"] == traffic.sums()["small_bytes"] == 100 + 2 * 100


def test_nothing_moves_within_a_node(traffic):
    value = Value("V", 10**6, "a")
    traffic.made([value], "a")
    traffic.used("merge", "a", [value])
    assert traffic.sums() == {} == SerialBackend().moved()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What happened on a node of 1 CPU, which others of 2 and 3 CPUs joined; the last one died, and then
    another joined."""
    folder = tmp_path_factory.mktemp("nodes")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.several_nodes", str(folder)],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "told.json").read_text())


def test_results_are_the_same_bits_wherever_users_are(told):
    assert told["apart_same"]
    assert told["asking_same"]
    assert told["joined_same"]


def test_three_actors_leave_two_nodes_to_the_servers(told):
    assert told["apart"] == {"UserActor": [[3, 3]], "ServerActor": [[1, 1], [2, 1]]}


def test_an_autoscaler_sees_what_actors_ask_for_and_they_start_where_cpus_join(told):
    """Three actors of a CPU each, where there is one CPU."""
    assert told["demand"] in (1.0, 2.0, 3.0)
    cpus = [(cpus, count) for cpus, count in told["asking"]["UserActor"]]
    assert sum(count for _, count in cpus) == 3
    assert all(count <= cpus for cpus, count in cpus)


def test_the_matrix_travels_to_each_node_once(told):
    """1,500 rows of 20 integers, published four times by servers, for three actors on one other node."""
    matrix = 4 * 1500 * 20 * 8
    moved = told["apart_moved"]["open_round_bytes"]
    assert matrix < moved < 1.02 * matrix


def test_a_node_that_joins_replaces_one_that_dies(told):
    assert told["joined_used"]
    assert "user_actor_died" in told["joined_events"]


def test_a_node_with_another_version_is_named_before_users_are_made(told):
    assert told["refused"].startswith("node ")
    assert f"({told['other'][:8]}): has NumPy 2.0 instead of {told['numpy']}: install" in told["refused"]
    assert "\n" not in told["refused"]


def test_more_cpus_than_this_machine_has_cannot_be_asked_for(local_ray):
    from fedmf_ray.engine.ray_backend import RayBackend

    backend = RayBackend("local", actor_cpus=1.0)
    assert "they wait until machines join" in backend.prepare(3, Servers, 1)
    assert backend.cpus == 3
    backend = RayBackend("local", actor_cpus=1.0)
    backend._owns = True
    with pytest.raises(FedMFError, match="3 user actors ask for 3 CPUs and this machine has 2"):
        backend.prepare(3, Servers, 1)
