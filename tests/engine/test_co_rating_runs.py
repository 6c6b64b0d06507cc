"""Whole runs with co-ratings: one model whatever the scheme, the place and who dies; one round of pairs."""

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.engine.users_side import UsersSide
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.plan import Plan
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.estimate import estimate
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import LOSSES, small

CO_RATINGS = {
    "model__rule": "ridge",
    "model__ridge": {"co_ratings": 9},
    "model__biases": True,
    "model__mean": 3.5,
    "model__reg_user": 3.0,
    "model__reg_item": 1.0,
    "protocol__update_bound": 2.0,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 4,
}
SOME = {"share": 0.8, "dropout": 0.2, "late": 0.1}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return {
        name: train(small(**CO_RATINGS, protocol__scheme="plain", **some), SerialBackend(), folder / name)
        for name, some in {"all": {}, "some": {"participation": SOME}}.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol__scheme": "packed"},
        {"protocol__scheme": "packed", "protocol__part_text_sparsity": 0.0, "cluster__users_per_actor": 3},
        {"protocol__scheme": "packed", "cluster__server_shards": 3},
        {"protocol__scheme": "plain", "protocol__charge": "packed", "cluster__users_per_actor": 8},
        {"protocol__scheme": "masked"},
        {"protocol__scheme": "masked", "protocol__part_text_sparsity": 0.0, "cluster__server_shards": 2},
        {"protocol__scheme": "committee"},
        {"protocol__scheme": "committee", "cluster__server_shards": 2, "cluster__users_per_actor": 8},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_schemes_and_placement_agree(tmp_path, undisturbed, changes):
    items, losses, _ = train(small(**CO_RATINGS | changes), SerialBackend(), tmp_path)
    assert losses == undisturbed["all"][1]
    assert np.array_equal(items, undisturbed["all"][0])


def test_they_change_errors_and_nothing_before_their_round(undisturbed, tmp_path):
    without = {key: value for key, value in CO_RATINGS.items() if key != "model__ridge"}
    items, losses, _ = train(
        small(**without | {"stop__rounds": 3}, protocol__scheme="plain"), SerialBackend(), tmp_path
    )
    assert losses == undisturbed["all"][1][:3]
    assert np.array_equal(items, undisturbed["all"][0])
    assert undisturbed["all"][1][3] != losses[2]


@pytest.mark.parametrize("scheme", ["masked", "packed"])
def test_processes_that_die_change_nothing(tmp_path, undisturbed, scheme):
    """In the round of pairs and in the one before, with users who are absent, late or lost."""
    changes = CO_RATINGS | {"participation": SOME, "protocol__scheme": scheme}
    placed = {"cluster__users_per_actor": 4, "cluster__server_shards": 2, "cluster__checkpoint_every": 2}
    dying = FaultyBackend(
        [
            ("train", 5, "UserActor"),
            ("train", 7, "UserActor"),
            ("close", 3, "ServerActor"),
            ("publish", 4, "ServerActor"),
        ]
    )
    items, losses, _ = train(small(**changes, **placed), dying, tmp_path)
    assert losses == undisturbed["some"][1]
    assert np.array_equal(items, undisturbed["some"][0])
    assert len(dying.killed) == 4


def test_a_run_goes_on_with_its_own_round_of_pairs(tmp_path):
    """Which round that is was settled when it began: a longer run does not add them up twice."""
    rows = {}
    for rounds in (4, 6):
        folder = run(
            small(**CO_RATINGS | {"stop__rounds": 4}, protocol__scheme="plain"),
            tmp_path / f"{rounds}",
            Silent(),
        )
        if rounds > 4:
            resume(folder, Silent(), [f"stop.rounds={rounds}"])
        rows[rounds] = pd.read_csv(folder / "rounds.csv")
    assert rows[6][LOSSES].iloc[:4].equals(rows[4][LOSSES])
    sent = rows[6]["upload_bytes_total"]
    assert (sent.drop(3) == sent[0]).all()
    assert sent[3] > sent[0]
    read = rows[6]["download_bytes_total"]
    assert (read.drop(4) == read[0]).all()
    assert read[4] > read[0]


def test_what_users_expect_has_the_bits_of_their_errors(tmp_path):
    scenario = small(**CO_RATINGS, protocol__scheme="masked", test={"fraction": 0.3})
    folder = run(scenario, tmp_path, Silent())
    side, mine = UsersSide(folder), []
    for position in range(8):
        user = side.ratings_of(position)
        mine += [(position, row, value) for row, value in zip(user.test_items, user.test_values, strict=True)]
    positions, rows, values = (np.array(column) for column in zip(*mine, strict=True))
    assert side.rmse(positions, rows, values) == pd.read_csv(folder / "rounds.csv")["test_rmse"].iloc[-1]


def test_an_estimate_tells_their_round_from_the_others(tmp_path):
    scenario = small(**CO_RATINGS, protocol__scheme="packed", protocol__part_text_sparsity=0.0)
    rows = pd.read_csv(run(scenario, tmp_path, Silent()) / "rounds.csv")
    found = estimate(scenario, SerialBackend())
    (other,) = found.others
    assert (found.rounds, other.first, other.rounds) == (4, 3, 1)
    for column in ("upload_bytes_total", "download_bytes_total"):
        assert found.row[column] == rows[column][0]
        assert other.row[column] == rows[column][3]
    alike = 3 * found.deployed_cpu_s + other.deployed_cpu_s
    assert found.totals["deployed_cpu_s"] == pytest.approx(alike)
    assert {"passing"} == {step.name for step in other.steps} - {step.name for step in found.steps}


def test_the_layout_says_what_they_take():
    plan = Plan.of(small(**CO_RATINGS, protocol__scheme="masked"))
    assert "co_ratings: 90 more numbers" in layout_line(plan)
    assert "in round 3 alone" in layout_line(plan)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model__ridge": {"co_ratings": 21}}, "model.ridge.co_ratings: 21 items are more than the 20"),
        ({"stop__rounds": 1}, "model.ridge.co_ratings: of 1 rounds, 0 to 0, one after the first"),
        ({"stop": {"rounds": 9, "tolerance": 1e-3}}, "leave stop.tolerance and stop.patience out"),
        ({"model__ridge": {"co_ratings": 9, "co_ratings_round": 4}}, "model.ridge.co_ratings: of 4 rounds"),
        ({"protocol__reading": "rated"}, "protocol.reading: rule ridge needs all of V"),
        ({"model__ridge": {"co_ratings": 2.5}}, "ridge.co_ratings"),
        ({"model__ridge": {"co_rating": 2}}, "ridge.co_rating"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_settings_are_one_line(tmp_path, changes, line):
    with pytest.raises(FedMFError, match=line) as error:
        run(small(**CO_RATINGS | changes), tmp_path, Silent())
    assert "\n" not in str(error.value)


def test_a_scale_of_one_rating_has_no_errors(tmp_path):
    (tmp_path / "clicks.csv").write_text(
        "user,item,rating\n" + "".join(f"{u},{i},1\n" for u in range(4) for i in range(5))
    )
    tree = {
        "name": "clicks", "ratings": {"source": "file", "path": str(tmp_path / "clicks.csv")},
        "model": {"rule": "ridge", "ridge": {"co_ratings": 3}}, "stop": {"rounds": 3},
        "protocol": {"scheme": "plain"}, "cluster": {"backend": "serial"},
    }  # fmt: skip
    with pytest.raises(FedMFError, match="on a scale from 1 to 1 nobody errs"):
        run(scenario_file.parse(tree, "clicks.yaml"), tmp_path / "run", Silent())
