"""``protocol.reading: rated``: users share the check, and read what they rated. That changes their costs, and
no result."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.answers import Hosting, Reading
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.parts import part_count
from fedmf_ray.protocol.seals import Sealer, Settled, _label
from fedmf_ray.protocol.server import Server
from fedmf_ray.storage.key_files import create_keys
from fedmf_ray.study.estimate import estimate
from tests.support.small_runs import losses_of, small

WIDE = {"ratings__items": 400, "ratings__sparsity": 0.95}
"""So many blocks that users check them in several parts."""

COUNTED = ["user_id", "upload_bytes", "upload_rows", "upload_blocks"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"protocol__scheme": "elementwise", "stop__rounds": 2},
        {"protocol__part_text_sparsity": 0.0, "cluster__server_shards": 3},
        {
            "protocol__part_text_sparsity": 0.4,
            "model": {"factors": 3, "rule": "ridge"},
            "protocol__min_raters": 3,
            "participation": {"share": 0.8, "late": 0.2, "dropout": 0.2, "minimum": 0.1},
        },
    ],
    ids=["packed", "elementwise", "shards", "ridge"],
)
def test_losses_and_uploads_are_those_of_reading_all(tmp_path, changes):
    folders = [run(small(**changes, protocol__reading=how), tmp_path, Silent()) for how in ("all", "rated")]
    every, rated = map(losses_of, folders)
    assert every.equals(rated)
    every, rated = (pd.read_csv(folder / "users.csv.gz") for folder in folders)
    assert len(every) == len(rated)
    if changes.get("protocol__part_text_sparsity", 1.0) in (0.0, 1.0):  # decoys differ from run to run
        assert every[COUNTED].equals(rated[COUNTED])


@pytest.mark.parametrize("apart", [1, 3])
def test_a_run_that_goes_on_is_as_if_it_had_never_stopped(tmp_path, apart):
    here = {"protocol__reading": "rated", "cluster__users_per_actor": apart, "cluster__server_shards": 2}
    folder = run(small(**here, stop__rounds=2), tmp_path, Silent())
    resume(folder, Silent(), ["stop.rounds=4", "cluster.users_per_actor=7"])
    whole = run(small(stop__rounds=4, protocol__scheme="plain"), tmp_path / "whole", Silent())
    assert losses_of(folder).equals(losses_of(whole))


def actor_of(reading, users=7):
    scenario = small(**WIDE, ratings__users=users, protocol__reading=reading)
    plan = Plan.of(scenario)
    evaluator, key, _ = create_keys(plan.scheme, plan.terms.blocks.shape)
    actor = UserActor(plan.terms, Hosting(plan.scheme.lightweight, combine=False, rated=plan.rated))
    actor.set_up(plan.population.members(0, users), sides=(evaluator, key))
    *messages, _ = actor.encrypt_initial_items()
    return actor, messages


@pytest.mark.parametrize("sparsity", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("shards", [1, 3])
def test_users_download_the_blocks_that_they_upload_and_their_seals(tmp_path, sparsity, shards):
    """In full text all of them: which ones they open stays on their device."""
    sizes = WIDE | {"protocol__part_text_sparsity": sparsity, "cluster__server_shards": shards}
    folder = run(small(**sizes, protocol__reading="rated"), tmp_path, Silent())
    users, rounds = (pd.read_csv(folder / name) for name in ("users.csv.gz", "rounds.csv"))
    block, number = 1024 // 4, 1024 // 8
    token = 3 * 32 + 2 * shards * number + 28
    assert (users["download_bytes"] == token + users["upload_blocks"] * (block + 16)).all()
    assert users["upload_blocks"].nunique() > 1 or sparsity < 1
    whole = small(**sizes, protocol__reading="all")
    whole = pd.read_csv(run(whole, tmp_path / "all", Silent()) / "users.csv.gz")["download_bytes"]
    assert sparsity < 1 or users["download_bytes"].sum() < whole.sum()
    parts = [column for column in rounds if column.startswith("slowest_")]
    together = rounds[[*parts, "server_cpu_s", "seal_s"]].sum(axis=1)
    assert rounds["protocol_s"].to_numpy() == pytest.approx(together.to_numpy())
    assert (rounds["seal_s"] > 0).all()
    assert (rounds["seal_cpu_s"] > 0).all()


def test_sealers_and_settler_are_charged_for_every_byte(tmp_path):
    shape = WIDE | {"ratings__users": 9}
    folder = run(small(**shape, protocol__reading="rated", stop__rounds=2), tmp_path, Silent())
    rounds = pd.read_csv(folder / "rounds.csv")
    block, number, users = 1024 // 4, 1024 // 8, 9
    blocks = Plan.of(small(**shape)).terms.blocks.count
    share, token = 64 + 2 * number + 28, 96 + 2 * number + 28
    parts = part_count(Plan.of(small(**shape)).terms.blocks, block, number, users)
    assert 3 < parts <= users
    check = blocks * block + parts * share
    seals = parts * (token + parts * 32) + blocks * 16
    for at, nonces in ((0, 16), (1, 16)):  # of the first tables, and of those that are credited
        settle = block + nonces + parts * share + token + parts * 32
        assert rounds["seal_bytes"][at] == check + settle + seals


def test_each_user_is_charged_for_its_own_blocks():
    actor, messages = actor_of("rated")
    settled = settled_by(actor, messages)
    share = actor.read_share(0, 1, *messages, settled).share
    assert share.open_cpu_s > 0 < share.seal_cpu_s
    took = share.open_cpu_s + share.seal_cpu_s
    actor.open_round(0, Reading(share, 7.0 + took, 99_000, 100))
    rated = np.array([len(np.unique(user.items // actor._terms.blocks.rows)) for user in members(actor)])
    assert len(set(rated.tolist())) > 3
    at_once, count = actor._key.at_once, actor._terms.blocks.count
    batches = np.minimum(count, -(-rated // at_once) * at_once)
    assert max(batches) > min(batches)
    assert actor._download_bytes.tolist() == (100 + 99_000 * rated // count).tolist()
    more = actor._decrypt_cpu_s - 7.0
    opened = (share.open_cpu_s * batches + share.seal_cpu_s * rated) / count
    assert (more > opened).all()
    assert (more < opened + 0.5).all()  # what all users do once, and rows made from blocks


def settled_by(actor, messages):
    """What users of an actor have settled about tables that open round 0."""
    (share,), _ = actor.check_parts(1, [0], *messages)
    settlement, _ = actor.settle_parts(1, [share], *messages)
    (seals,), _ = actor.seal_parts(1, [0], settlement, *messages)
    return Settled(settlement.token, seals)


def members(actor):
    train = actor._users.train
    return [train.part(user, user + 1) for user in range(len(actor._users))]


def test_reading_all_charges_everybody_the_same():
    actor, messages = actor_of("all")
    share = actor.read_share(0, 1, *messages).share
    actor.open_round(0, Reading(share, 7.0 + share.open_cpu_s, 99))
    assert len(set(actor._decrypt_cpu_s.tolist())) == 1
    assert actor._decrypt_cpu_s[0] >= 7.0 + share.open_cpu_s


def test_a_server_that_cheats_in_a_block_that_nobody_here_rated_is_noticed():
    """Everything is checked, whatever is opened: by the user whose part it is in."""
    actor, (message,) = actor_of("rated", users=2)
    unrated = np.setdiff1d(
        np.arange(actor._terms.blocks.count),
        np.concatenate([user.items // actor._terms.blocks.rows for user in members(actor)]),
    )
    assert len(unrated)
    wire = message.ciphertexts
    wire[unrated[0]] = actor._key.encrypt(np.zeros((1, actor._terms.blocks.columns), np.int64))[0]
    with pytest.raises(TamperedError, match="round 0"):
        settled_by(actor, [message])


def test_two_users_who_disagree_about_a_part_are_named(tmp_path, monkeypatch):
    check, liar = Sealer.check, []

    def lying(sealer, messages, layout, at, parts, before):
        digest, share = check(sealer, messages, layout, at, parts, before)
        if messages[0].round == 1 and at == 1 and not liar:
            liar.append(at)
            label = _label(b"check", 1, at, len(parts))
            text = sealer._open(share, label)
            share = sealer._enclose(label, text[:64] + bytes([text[64] ^ 1]) + text[65:])
        return digest, share

    monkeypatch.setattr(Sealer, "check", lying)
    with pytest.raises(TamperedError) as refused:
        run(small(**WIDE, protocol__reading="rated"), tmp_path, Silent())
    assert re.match(
        r"round 1: users \d+ and \d+ disagree about part 2 of \d+ of the item matrix, "
        "which both have checked: one of them lies$",
        str(refused.value),
    )
    assert liar


def test_a_server_that_lies_to_all_is_named_though_users_check_again(tmp_path, monkeypatch):
    publish = Server.publish

    def cheating(server, opening=None):
        message = publish(server, opening)
        message.ciphertexts[0] = message.ciphertexts[1]
        return message

    monkeypatch.setattr(Server, "publish", cheating)
    with pytest.raises(TamperedError, match="round 1: the item matrix of server 0 is not the sum"):
        run(small(protocol__reading="rated"), tmp_path, Silent())


def test_an_estimate_and_a_calibrated_run_count_the_same_bytes(tmp_path):
    changes = WIDE | {"protocol__reading": "rated", "cluster__server_shards": 2}
    changes |= {"participation": {"late": 0.2, "minimum": 0.1}, "metrics": {"top_k": 3}, "stop__rounds": 2}
    real = run(small(**changes), tmp_path, Silent())
    charged = small(**changes, protocol__scheme="plain", protocol__charge="packed")
    calibrated = run(charged, tmp_path, Silent())
    assert losses_of(real).equals(losses_of(calibrated))
    figures = [pd.read_csv(folder / "rounds.csv") for folder in (calibrated, real)]
    users = pd.read_csv(real / "users.csv.gz")
    columns = ["download_bytes_total", "upload_bytes_total"]
    assert figures[0][columns].equals(figures[1][columns])
    assert set(figures[0]["basis"]) == {"charged"}
    assert (figures[0]["seal_cpu_s"] > 0).all()
    # Nonces of users who tag afresh, and the rounding of a part's blocks, are left out.
    assert figures[0]["seal_bytes"].to_numpy() == pytest.approx(figures[1]["seal_bytes"].to_numpy(), rel=0.02)
    lists = [json.loads((one / "summary.json").read_text())["lists"] for one in (real, calibrated)]
    assert [one["basis"] for one in lists] == ["measured", "charged"]
    assert lists[0]["download_bytes_mean"] == lists[1]["download_bytes_mean"] > 0
    rest = users["download_bytes"].groupby(users["round"]).sum()
    whole = 7 * (Plan.of(charged).charged.terms.blocks.count * 272 + 96 + 4 * 128 + 28)
    assert 7 * lists[0]["download_bytes_mean"] == pytest.approx(whole - rest[0])
    assert all(one["decrypt_cpu_s_mean"] > 0 for one in lists)
    row = estimate(charged, SerialBackend()).row
    assert row["seal_bytes"] == figures[0]["seal_bytes"][0]
    assert row["seal_s"] > 0


@pytest.mark.parametrize("scheme", ["masked", "packed"])
def test_what_reading_sums_of_pairs_takes_is_said_though_no_round_begins_with_them(tmp_path, scheme):
    """A rule of lists ends with the round of pairs: users read these for their lists alone."""
    rule = {"model__rule": "item_item", "model__biases": None, "protocol__min_raters": 1}
    real = run(small(**rule, protocol__scheme=scheme, stop__rounds=2), tmp_path, Silent())
    one_more = run(small(**rule, protocol__scheme=scheme, stop__rounds=3), tmp_path, Silent())
    lists = json.loads((real / "summary.json").read_text())["lists"]
    read = pd.read_csv(one_more / "users.csv.gz").query("round == 2")["download_bytes"]
    assert lists["download_bytes_mean"] == read.mean() > 0
    assert lists["decrypt_cpu_s_mean"] > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"protocol__scheme": "masked"},
            "protocol.reading: rated needs tables that are checked before they are opened",
        ),
        ({"protocol__scheme": "plain"}, "and plain has none"),
        ({"protocol__scheme": "plain", "protocol__charge": "masked"}, "and masked has none"),
        ({"model": {"factors": 4, "rule": "implicit"}}, "protocol.reading: rule implicit needs all of V"),
        ({"stop__tolerance": 0.1}, "stop.tolerance: the change of V is that of all rows"),
    ],
)
def test_what_needs_all_of_v_says_so_in_one_line(changes, reason):
    with pytest.raises(FedMFError) as refused:
        small(**changes, protocol__reading="rated")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
