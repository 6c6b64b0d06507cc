"""Users who are not asked, drop out or come late: drawn from the seed, charged, counted, and never lost."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.participation import ABSENT, DROPPED, IN_TIME, LATE, Attendance
from fedmf_ray.protocol.user import Users
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.sections import Participation
from tests.support.small_runs import rounds_of, small

LOSSES = ["train_mse", "test_rmse", "test_mae"]
SOME = {"share": 0.7, "dropout": 0.25, "late": 0.25}


def drawn(users=10_000, round_number=0, seed=1, **changes):
    return Attendance(Participation(**changes), users, seed).fates(round_number)


def test_everybody_is_in_time_if_nothing_is_said():
    assert (drawn() == IN_TIME).all()


def test_fates_have_their_shares():
    fates = drawn(share=0.5, dropout=0.2, late=0.1)
    assert (fates != ABSENT).sum() == 5000  # exactly: the share is of users, not a probability
    assert (fates == DROPPED).sum() == pytest.approx(1000, abs=100)
    assert (fates == LATE).sum() == pytest.approx(500, abs=80)


def test_they_depend_on_seed_and_round_alone():
    assert np.array_equal(drawn(**SOME), drawn(**SOME))
    assert not np.array_equal(drawn(**SOME), drawn(**SOME, round_number=1))
    assert not np.array_equal(drawn(**SOME), drawn(**SOME, seed=2))


def test_schemes_and_placement_agree_and_columns_say_who_came(tmp_path):
    plain = rounds_of(tmp_path, participation=SOME, protocol__scheme="plain", stop__rounds=6)
    for changes in (
        {"protocol__scheme": "packed"},
        {"cluster__users_per_actor": 3, "cluster__server_shards": 2},
        {"cluster__users_per_actor": 7, "protocol__scheme": "packed"},
    ):
        other = rounds_of(tmp_path, participation=SOME, stop__rounds=6, **changes)
        assert other[[*LOSSES, "uploads", "refused", "users"]].equals(
            plain[[*LOSSES, "uploads", "refused", "users"]]
        )
    assert (plain["users"] == 5).all()  # 0.7 of seven
    assert (plain["uploads"] + plain["refused"] <= 5).all()
    assert plain["uploads"].sum() < 30
    assert plain["refused"].sum() > 0


def test_a_late_upload_is_refused_and_the_reason_kept(tmp_path):
    folder = run(small(participation={"late": 0.5}), tmp_path, Silent())
    refused = pd.read_csv(folder / "rounds.csv")["refused"].tolist()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert {event["round"]: sum(event["reasons"].values()) for event in events} == {
        number: count for number, count in enumerate(refused) if count
    }
    assert "this is round 1" in events[0]["reasons"]


def test_a_user_who_dropped_out_has_learned_all_the_same(tmp_path):
    """Its vector moved; only V has nothing of it."""
    lost = rounds_of(tmp_path, participation={"dropout": 0.99}, stop__rounds=1, seed=5)
    assert lost["uploads"].item() == 0
    asleep = rounds_of(tmp_path, participation={"share": 1e-9}, stop__rounds=1, seed=5)
    assert lost["train_mse"].item() != asleep["train_mse"].item()


def test_the_server_waits_for_those_in_time_only(tmp_path):
    folder = run(small(participation={"dropout": 0.5}, stop__rounds=4), tmp_path, Silent())
    rounds, users = pd.read_csv(folder / "rounds.csv"), pd.read_csv(folder / "users.csv.gz")
    assert len(users) == 4 * 7  # who dropped out is charged for what it did
    parts = ["decrypt_cpu_s", "update_cpu_s", "encrypt_cpu_s", "network_s"]
    slowest = users[parts].sum(axis=1).groupby(users["round"]).max()
    waited = rounds["protocol_s"] - rounds["server_cpu_s"] - rounds["seal_s"]
    assert (waited <= slowest * 1.00001).all()
    assert (waited < slowest * 0.99999).any()


def test_a_round_with_too_few_uploads_ends_the_run(tmp_path):
    with pytest.raises(FedMFError, match=r"round \d: the uploads of \d of 7 users arrived, 6 are needed"):
        run(small(participation={"dropout": 0.5, "minimum": 0.8}), tmp_path, Silent())
    (summary,) = tmp_path.glob("small/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "failed"


def test_an_upload_that_a_server_refuses_is_counted_and_the_round_goes_on(tmp_path, monkeypatch):
    """User 3 sends its blocks in the wrong order; the run is that of a scenario in which it drops out."""
    real = Users.uploads

    def disordered(self, first, *rest):
        uploads = real(self, first, *rest)
        for user, pieces in enumerate(uploads, start=first):
            if self.user_ids[user] == 3:
                pieces[:] = [dataclasses.replace(piece, blocks=piece.blocks[::-1].copy()) for piece in pieces]
        return uploads

    monkeypatch.setattr(Users, "uploads", disordered)
    with pytest.raises(FedMFError, match="1 refused because: blocks are not strictly increasing"):
        run(small(model__factors=30), tmp_path, Silent())  # a row fills a ciphertext: blocks are rows
    tables = [
        rounds_of(tmp_path, participation={"minimum": 0.5}, model__factors=30, **changes)
        for changes in (
            {"cluster__users_per_actor": 1},
            {"cluster__users_per_actor": 7},
            {"cluster__server_shards": 3},
            {"cluster__users_per_actor": 4, "cluster__server_shards": 2},
        )
    ]
    for table in tables:
        assert table["uploads"].tolist() == [6, 6, 6]
        assert table["refused"].tolist() == [1, 1, 1]
        assert table[LOSSES].equals(tables[0][LOSSES])


def test_a_share_alone_may_stand_for_the_section():
    tree = {"ratings": {"source": "synthetic", "users": 7, "items": 12}, "name": "x", "participation": 0.25}
    assert scenario_file.parse(tree, "x").participation.share == 0.25


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"dropout": 1.0}, {"dropout": 0.5, "late": 0.5}, 2])
def test_what_leaves_nobody_is_refused(wrong):
    tree = {"ratings": {"source": "synthetic", "users": 7, "items": 12}, "name": "x", "participation": wrong}
    with pytest.raises(FedMFError, match="participation"):
        scenario_file.parse(tree, "x")
