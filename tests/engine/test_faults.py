"""Real processes that are killed on a real Ray: time is lost, results are not."""

import os

import numpy as np
import pytest

from fedmf_ray.engine import persistence
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import SCHEMES
from tests.support.faults import FaultyBackend, random_faults, train
from tests.support.opening import Asking
from tests.support.small_runs import small

ON_RAY = {
    "cluster__backend": "ray",
    "cluster__users_per_actor": 4,
    "cluster__server_shards": 2,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 5,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """V and losses of the scenario of these tests when nothing happens, in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(small(**ON_RAY | {"cluster__backend": "serial"}), SerialBackend(), folder)


FEWER = {"ratings__users": 3}
"""For single-user actors: a Ray worker takes half a second to start."""


@pytest.fixture(scope="module")
def fewer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fewer")
    return train(small(**ON_RAY | FEWER | {"cluster__backend": "serial"}), SerialBackend(), folder)


class DiesInSetUp(UserActor):
    def set_up(self, *_):
        os._exit(1)


class DiesInTraining(UserActor):
    def train(self, *_):
        os._exit(1)


def check(result, undisturbed):
    assert np.array_equal(result[0], undisturbed[0])
    assert result[1] == undisturbed[1]


class TestProcessesThatDie:
    @pytest.mark.parametrize("every", ["auto", pytest.param(3, marks=pytest.mark.slow)])
    def test_in_every_phase_of_a_run(self, local_ray, tmp_path, undisturbed, every):
        """Two user actors, two servers, seven of them killed while they train, add, close, publish, open and
        save."""
        faults = [
            ("train", 2, "UserActor"),
            ("merge", 6, "ServerActor"),
            ("close", 3, "ServerActor"),  # so it dies before it publishes
            ("publish", 5, "ServerActor"),
            ("read_share", 8, "UserActor"),
            ("open_round", 12, "UserActor"),
            ("save", 6, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        result = train(small(**ON_RAY, cluster__checkpoint_every=every), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 7
        handled = [event for event, _ in result[2]]
        assert {"user_actor_died", "server_died"} <= set(handled)

    def test_where_every_upload_goes_to_the_servers_by_itself(self, local_ray, tmp_path, fewer):
        faults = [
            ("receive", 3, "ServerActor"),
            ("train", 5, "UserActor"),
            ("receive", 16, "UserActor"),
            ("publish", 8, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        single = ON_RAY | {"cluster__users_per_actor": 1} | FEWER
        result = train(small(**single), backend, tmp_path)
        check(result, fewer)
        assert len(backend.killed) == 4

    @pytest.mark.parametrize("scheme", ["masked", pytest.param("asking", marks=pytest.mark.slow)])
    def test_where_a_user_opens_the_sums(self, local_ray, tmp_path, undisturbed, monkeypatch, scheme):
        monkeypatch.setitem(SCHEMES._known, "asking", Asking)
        faults = [
            ("close", 2, "ServerActor"),
            ("open_sums", 1, "UserActor"),
            ("open_sums", 4, "ServerActor"),
            ("publish", 8, "UserActor"),
        ]
        backend = FaultyBackend(faults)
        check(train(small(**ON_RAY, protocol__scheme=scheme), backend, tmp_path), undisturbed)
        assert len(backend.killed) == 4

    def test_where_a_committee_opens_the_sums(self, local_ray, tmp_path, undisturbed):
        """Half of the members sit in each of two processes: who is started again has another life."""
        faults = [
            ("agree", 1, "UserActor"),
            ("part", 4, "UserActor"),
            ("assemble", 5, "ServerActor"),
            ("certify", 8, "UserActor"),
            ("certified", 7, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        result = train(small(**ON_RAY, protocol__scheme="committee"), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 5
        assert "members_renewed" in {event for event, _ in result[2]}

    def test_without_checkpoints_a_dead_process_ends_the_run_with_a_word(self, local_ray, tmp_path):
        backend = FaultyBackend([("train", 2, "UserActor")])
        alone = {"cluster__users_per_actor": 8, "cluster__server_shards": 1}
        with pytest.raises(FedMFError, match="a Ray worker died .*checkpoint_every"):
            train(small(**ON_RAY | alone, cluster__checkpoint_every="never"), backend, tmp_path)

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            (DiesInSetUp, "Ray workers keep dying while users are set up .*raise cluster.users_per_actor"),
            pytest.param(
                DiesInTraining,
                "round 0: processes keep dying .*raise cluster.users_per_actor",
                marks=pytest.mark.slow,
            ),
        ],
    )
    def test_when_they_always_do_there_is_one_line(self, local_ray, tmp_path, monkeypatch, kind, message):
        monkeypatch.setattr("fedmf_ray.engine.crew.UserActor", kind)
        monkeypatch.setattr(persistence, "ATTEMPTS", 1)
        with pytest.raises(FedMFError, match=message) as caught:
            train(small(**ON_RAY | {"cluster__users_per_actor": 8}), FaultyBackend(), tmp_path)
        assert "\n" not in str(caught.value)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_at_random_moments(self, local_ray, tmp_path, undisturbed, seed):
        together = seed % 2 == 0
        calls = {"close": 2, "publish": 2, "read_share": 2}
        if together:
            calls |= {"train": 2, "merge": 4, "open_round": 2, "save": 2}
        else:
            calls |= {"train": 8, "receive": 16, "open_round": 8, "save": 8}
        faults = random_faults(seed, 6, 5, calls)
        backend = FaultyBackend(faults, seed)
        chosen = small(**ON_RAY | {"cluster__users_per_actor": 4 if together else 1})
        check(train(chosen, backend, tmp_path), undisturbed)
        assert len(backend.killed) >= 4, "some victims were dead already, most were not"
