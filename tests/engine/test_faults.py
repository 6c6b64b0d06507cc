"""Processes die, disks fill, files rot: time is lost, results are not."""

import numpy as np
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.errors import FedMFError
from tests.support.faults import FaultyBackend, random_faults, train
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


def check(result, undisturbed):
    assert np.array_equal(result[0], undisturbed[0])
    assert result[1] == undisturbed[1]


class TestProcessesThatDie:
    @pytest.mark.parametrize("every", ["auto", 3])
    def test_in_every_phase_of_a_run(self, local_ray, tmp_path, undisturbed, every):
        """Two user actors, two servers, six of them killed while they train, add, publish, open and save."""
        faults = [
            ("train", 2, "UserActor"),
            ("merge", 6, "ServerActor"),
            ("publish", 5, "ServerActor"),
            ("read_share", 8, "UserActor"),
            ("open_round", 12, "UserActor"),
            ("save", 6, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        result = train(small(**ON_RAY, cluster__checkpoint_every=every), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 6
        handled = [event for event, _ in result[2]]
        assert {"user_actor_died", "server_died"} <= set(handled)

    def test_where_every_upload_goes_to_the_servers_by_itself(self, local_ray, tmp_path, undisturbed):
        faults = [
            ("receive", 6, "ServerActor"),
            ("train", 14, "UserActor"),
            ("receive", 40, "UserActor"),
            ("publish", 8, "ServerActor"),
        ]
        backend = FaultyBackend(faults)
        single = ON_RAY | {"cluster__users_per_actor": 1}
        result = train(small(**single), backend, tmp_path)
        check(result, undisturbed)
        assert len(backend.killed) == 4

    def test_without_checkpoints_a_dead_process_ends_the_run_with_a_word(self, local_ray, tmp_path):
        backend = FaultyBackend([("train", 2, "UserActor")])
        with pytest.raises(FedMFError, match="a Ray worker died .*checkpoint_every"):
            train(small(**ON_RAY, cluster__checkpoint_every="never"), backend, tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_at_random_moments(self, local_ray, tmp_path, undisturbed, seed):
        together = seed % 2 == 0
        calls = {"train": 2, "merge": 4, "publish": 2, "read_share": 2, "open_round": 2, "save": 2}
        if not together:
            calls = {"train": 8, "receive": 16, "publish": 2, "read_share": 2, "open_round": 8, "save": 8}
        faults = random_faults(seed, 6, 5, calls)
        backend = FaultyBackend(faults, seed)
        chosen = small(**ON_RAY | {"cluster__users_per_actor": 4 if together else 1})
        check(train(chosen, backend, tmp_path), undisturbed)
        assert len(backend.killed) >= 4, "some victims were dead already, most were not"
