"""Whole runs under a committee: bits of plain runs, costs, who sits there, members who are away."""

import json

import numpy as np
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import Committee, Council
from fedmf_ray.study.estimate import estimate
from tests.engine.test_masked_runs import CASES
from tests.support.small_runs import LOSSES, losses_of, rounds_of, small

CASES = CASES | {
    "by X25519 alone": {"protocol__committee": {"hybrid": False}},
    "three members": {"protocol__committee": {"members": 3, "colluding": 1}},
    "two of seven": {"protocol__committee": {"members": 7, "colluding": 2}},
}


@pytest.mark.parametrize("case", CASES)
def test_every_round_has_the_losses_of_a_plain_run(tmp_path, case):
    how = CASES[case]
    if "participation" in how:
        how = how | {"participation": {"share": 0.8, "late": 0.0, "dropout": 0.0, "minimum": 0.0}}
    together = rounds_of(tmp_path, protocol__scheme="committee", **how)
    how = {key: value for key, value in how.items() if key != "protocol__committee"}
    plain = rounds_of(tmp_path, protocol__scheme="plain", **how)
    assert together[LOSSES].equals(plain[LOSSES])
    assert together[["uploads", "refused"]].equals(plain[["uploads", "refused"]])


@pytest.mark.parametrize("apart", [1, 3])
def test_a_run_that_goes_on_is_as_if_it_had_never_stopped(tmp_path, apart):
    here = {"protocol__scheme": "committee", "cluster__users_per_actor": apart, "cluster__server_shards": 2}
    folder = run(small(**here), tmp_path, Silent())
    resume(folder, Silent(), ["stop.rounds=6", "cluster.users_per_actor=7"])
    whole = run(small(stop__rounds=6, protocol__scheme="plain"), tmp_path / "whole", Silent())
    assert losses_of(folder).equals(losses_of(whole))


def test_opening_is_measured_and_is_part_of_protocol_seconds(tmp_path):
    rounds = rounds_of(tmp_path, protocol__scheme="committee")
    parts = rounds.filter(regex="^slowest_").sum(axis=1) + rounds["server_cpu_s"] + rounds["open_s"]
    assert parts.tolist() == pytest.approx(rounds["protocol_s"].tolist())
    assert (rounds["open_s"] > rounds["open_cpu_s"]).all()
    assert (rounds["open_cpu_s"] > 0).all()


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_estimated_and_charged_bytes_are_those_that_are_sent(tmp_path, sparsity, servers):
    here = {"protocol__part_text_sparsity": sparsity, "cluster__server_shards": servers}
    measured = rounds_of(tmp_path, protocol__scheme="committee", **here).iloc[1]
    charged = rounds_of(tmp_path, protocol__scheme="plain", protocol__charge="committee", **here).iloc[1]
    estimated = estimate(small(protocol__scheme="committee", **here), SerialBackend()).row
    for column in ("upload_bytes_total", "download_bytes_total", "open_bytes"):
        assert charged[column] == measured[column], column
        if not sparsity:  # otherwise the numbers of ratings are drawn
            assert estimated[column] == measured[column], column
    assert charged["open_cpu_s"] > 0
    assert estimated["open_s"] > estimated["open_cpu_s"] > 0


def test_who_sits_there_is_in_the_run_folder(tmp_path):
    folder = run(small(protocol__scheme="committee"), tmp_path, Silent())
    facts = json.loads((folder / "environment.json").read_text())["committee"]
    assert len(set(facts["members"])) == 4
    assert facts["quorum"] == 3
    assert facts["more_than_colluding_corrupt"]["0.1"] == pytest.approx(0.0523)
    users = np.arange(1, 8)
    drawn = Council(4, 1).drawn(users, bytes.fromhex(facts["beacon"]))
    assert users[drawn].tolist() == facts["members"]
    setup = json.loads((folder / "summary.json").read_text())["setup"]
    assert setup["user_keys_cpu_s"] > 0
    assert facts["key_agreement"] == Committee().council.key_agreement
    assert setup["user_keys_bytes"] == (128 + 4 * 1088 if "ML-KEM" in facts["key_agreement"] else 128)
    assert setup["member_keys_cpu_s"] > 0


def test_a_member_that_is_away_is_covered_and_two_stop_the_run(tmp_path):
    away = {"participation": {"share": 1.0, "dropout": 0.5, "minimum": 0.0}, "stop__rounds": 8}
    with pytest.raises(
        FedMFError, match="^round .: [012] of 4 members of the committee are there, 3 must"
    ) as it:
        run(small(protocol__scheme="committee", **away), tmp_path, Silent())
    assert "\n" not in str(it.value)
    assert "protocol.committee.members" in str(it.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 9}, "protocol.committee.members: 9 members of 7 users: name fewer members"),
        ({"members": 4, "colluding": 4}, "colluding: 4 of 4 members"),
        ({"members": 4, "colluding": 2}, "no honest majority"),
        ({"members": 40}, "members: 40 is not between 2 and 12"),
    ],
)
def test_impossible_committees_are_refused_with_one_line(tmp_path, settings, message):
    with pytest.raises(FedMFError, match=message) as it:
        run(small(protocol__scheme="committee", protocol__committee=settings), tmp_path, Silent())
    assert "\n" not in str(it.value)
