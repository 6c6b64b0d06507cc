"""What a run writes down of each user: everything, or sums alone."""

import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Results


def rows(tmp_path, users):
    tree = {
        "name": "results",
        "ratings": {"source": "synthetic", "users": 6, "items": 9, "sparsity": 0.4},
        "protocol": {"scheme": "plain"},
        "stop": {"rounds": 2},
        "cluster": {"backend": "serial", "checkpoint_every": "never"},
        "results": {"users": users},
    }
    folder = run(scenario_file.parse(tree, "results"), tmp_path, Silent())
    return (folder / "users.csv.gz").exists(), (folder / "rounds.csv").read_text()


def test_sums_leave_no_row_per_user_and_the_same_rounds(tmp_path):
    each, rounds = rows(tmp_path, "csv")
    none, same = rows(tmp_path, "sums")
    assert (each, none) == (True, False)
    columns = rounds.splitlines()[0].split(",")
    for name in ("train_mse", "upload_bytes_total", "download_bytes_total", "users"):
        at = columns.index(name)
        assert [line.split(",")[at] for line in rounds.splitlines()] == [
            line.split(",")[at] for line in same.splitlines()
        ]


def test_above_a_hundred_thousand_users_sums_are_the_default():
    assert Results().each_user(100_000)
    assert not Results().each_user(100_001)
    assert Results(users="csv").each_user(10**7)


def test_another_word_is_one_line():
    tree = {
        "name": "x",
        "ratings": {"source": "synthetic", "users": 6, "items": 9},
        "results": {"users": "no"},
    }
    with pytest.raises(FedMFError, match=r"results\.users: .*csv") as caught:
        scenario_file.parse(tree, "x.yaml")
    assert "\n" not in str(caught.value)
