"""``protocol.reading: rated``: users open what they rated. That changes their costs, and no result."""

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.answers import Hosting, Reading
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.storage.key_files import create_keys
from tests.support.small_runs import losses_of, small

COUNTED = ["user_id", "download_bytes", "upload_bytes", "upload_rows", "upload_blocks"]


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
def test_losses_and_bytes_are_those_of_reading_all(tmp_path, changes):
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
    sizes = {"ratings__users": users, "ratings__items": 600, "ratings__sparsity": 0.95}
    scenario = small(**sizes, protocol__reading=reading)
    plan = Plan.of(scenario)
    evaluator, key, _ = create_keys(plan.scheme, plan.terms.blocks.shape)
    actor = UserActor(plan.terms, Hosting(plan.scheme.lightweight, combine=False, rated=plan.rated))
    actor.set_up(plan.population.members(0, users), sides=(evaluator, key))
    *messages, _ = actor.encrypt_initial_items()
    return actor, messages


def test_each_user_is_charged_for_its_own_blocks_and_for_checking_all():
    actor, messages = actor_of("rated")
    share = actor.read_share(0, 1, *messages).share
    assert share.open_cpu_s > 0
    actor.open_round(0, Reading(share, 7.0 + share.open_cpu_s, 99))
    rated = [len(np.unique(user.items // actor._terms.blocks.rows)) for user in members(actor)]
    assert len(set(rated)) > 3
    at_once, count = actor._key.at_once, actor._terms.blocks.count
    batches = [min(1.0, -(-blocks // at_once) * at_once / count) for blocks in rated]
    assert max(batches) > min(batches)
    opening = (actor._decrypt_cpu_s - actor._decrypt_cpu_s.min()) / share.open_cpu_s
    assert opening == pytest.approx(np.array(batches) - min(batches))
    least = 7.0 + share.open_cpu_s * min(batches)
    assert least <= actor._decrypt_cpu_s.min() < least + 1.0  # settling comes on top


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
    """Everything is checked, whatever is opened."""
    actor, (message,) = actor_of("rated", users=2)
    unrated = np.setdiff1d(
        np.arange(actor._terms.blocks.count),
        np.concatenate([user.items // actor._terms.blocks.rows for user in members(actor)]),
    )
    assert len(unrated)
    wire = message.ciphertexts
    wire[unrated[0]] = actor._key.encrypt(np.zeros((1, actor._terms.blocks.columns), np.int64))[0]
    with pytest.raises(TamperedError, match="round 0"):
        actor.open_round(0, message)


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
