"""Processes that live and do nothing (SIGSTOP) are replaced, and the results are the same bits."""

import os
import signal
import time

import numpy as np
import pytest

from fedmf_ray.engine.backends import Call, SerialBackend
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.engine.ray_backend import RayBackend
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import small

PATIENCE_S = 3.0
"""Longer than a call takes here, but perhaps not than a worker takes to start on a busy machine."""

ON_RAY = {
    "cluster__backend": "ray",
    "cluster__users_per_actor": 4,
    "cluster__server_shards": 2,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 4,
}


class Worker:
    def ping(self):
        pass

    def pid(self):
        return os.getpid()

    def nap(self, seconds, _after=None):
        time.sleep(seconds)
        return seconds


def nap_once(seconds):
    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """V and losses when nothing happens, in one process."""
    folder = tmp_path_factory.mktemp("patience-undisturbed")
    return train(small(**ON_RAY | {"cluster__backend": "serial"}), SerialBackend(), folder)


@pytest.fixture
def backend(local_ray):
    backend = RayBackend("local")
    yield backend
    backend.close()


def workers(backend, count):
    """Actors that have started; from now on patience is short."""
    actors = [backend.start(Worker) for _ in range(count)]
    backend.get([backend.call(actor, "ping") for actor in actors])
    backend._watch.patience_s, backend._watch.step_s = PATIENCE_S, PATIENCE_S / 4
    return actors


def stopped(backend, actor):
    pid = backend.get(backend.call(actor, "pid"))
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.parametrize(
    "fault",
    [("train", 2, "UserActor"), ("merge", 5, "ServerActor"), ("open_round", 5, "UserActor")],
    ids=["user", "server", "reader"],
)
def test_a_run_goes_on_to_the_same_bits(local_ray, tmp_path, undisturbed, fault):
    backend = FaultyBackend([fault], how=signal.SIGSTOP, patience_s=5 * PATIENCE_S)
    items, losses, events = train(small(**ON_RAY), backend, tmp_path)
    assert len(backend.killed) == 1
    assert np.array_equal(items, undisturbed[0])
    assert losses == undisturbed[1]
    names = [event for event, _ in events]
    died = "server_died" if fault[2] == "ServerActor" else "user_actor_died"
    assert names.index("actor_silent") < names.index(died)
    (facts,) = [facts for event, facts in events if event == "actor_silent"]
    assert "cluster.patience_s" in facts["action"]


def test_only_who_has_work_is_blamed(backend):
    """One waits for the value of another that hangs: it is not at fault."""
    hanging, waiting = workers(backend, 2)
    stopped(backend, hanging)
    first = backend.call(hanging, "nap", 0.0)
    second = backend.call(waiting, "nap", 0.0, first)
    with pytest.raises(Lost, match=r"a process has ended no call for 3 s \(cluster.patience_s\)"):
        backend.get(second)
    assert backend.silent(hanging)
    assert not backend.silent(waiting)
    assert not backend.alive(hanging)
    assert backend.alive(waiting)


def test_a_long_call_beside_others_that_end_is_none_of_a_silent_process(backend):
    """Three times the patience, while something ends now and then."""
    slow, quick = workers(backend, 2)
    calls = [Call(slow, "nap", (3 * PATIENCE_S,)), *(Call(quick, "nap", (PATIENCE_S / 2,)) for _ in range(6))]
    ended = [backend.get(reference) for _, (reference,) in backend.stream(calls, 10)]
    assert len(ended) == 7
    assert not backend.silent(slow)


def test_a_function_that_hangs_is_lost(backend):
    workers(backend, 1)
    started = time.monotonic()
    with pytest.raises(Lost, match="cluster.patience_s"):
        backend.get(backend.run(nap_once, 60.0))
    assert time.monotonic() - started < 30


def test_one_that_had_nothing_to_do_when_it_was_stopped(backend):
    (actor,) = workers(backend, 1)
    stopped(backend, actor)
    assert not backend.alive(actor)
    assert backend.silent(actor)


def test_what_has_ended_is_forgotten(backend):
    """A watch that kept every call would keep its arguments in memory."""
    actor = backend.start(Worker)
    for _ in range(20):
        backend.call(actor, "nap", 0.0, backend.run(nap_once, 0.0))
    backend.get(backend.call(actor, "ping"))
    assert actor not in backend._watch._calls
