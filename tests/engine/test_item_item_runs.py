"""Whole runs of the rule of pairs: one table and one list whatever the scheme, the place and who dies."""

import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.plan import Plan
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.estimate import estimate
from tests.support.faults import FaultyBackend
from tests.support.small_runs import small

PAIRS = {
    "model__rule": "item_item",
    "model__item_item": {"top_items": 8, "cap": 4},
    "ratings__users": 8,
    "ratings__items": 20,
    "protocol__part_text_sparsity": 0.0,
    "metrics": {"top_k": 3, "relevant_from": 3.5},
}
SOME = {"share": 0.8, "dropout": 0.2, "late": 0.1}


def results_of(tmp_path, name="run", **changes):
    folder = run(small(**PAIRS | changes), tmp_path / name, Silent())
    return folder, json.loads((folder / "summary.json").read_text())["ranking"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    changes = {"protocol__scheme": "plain"}
    folder = tmp_path_factory.mktemp("plain")
    return {
        name: results_of(folder, name, **changes, **some)[1]
        for name, some in {"all": {}, "some": {"participation": SOME}}.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol__scheme": "packed"},
        {"protocol__scheme": "packed", "protocol__part_text_sparsity": 1.0, "cluster__users_per_actor": 3},
        {"protocol__scheme": "packed", "cluster__server_shards": 2, "protocol__min_raters": 1},
        {"protocol__scheme": "elementwise", "cluster__users_per_actor": 8},
        {"protocol__scheme": "plain", "protocol__charge": "packed", "cluster__users_per_actor": 8},
    ],
    ids=["packed", "part text", "shards", "elementwise", "calibrated"],
)
def test_schemes_and_placement_agree(tmp_path, plain, changes):
    assert results_of(tmp_path, **changes)[1] == plain["all"]


def test_a_run_goes_on_as_if_nothing_had_happened(tmp_path, plain):
    folder, _ = results_of(tmp_path, stop__rounds=2, participation=SOME)
    resume(folder, Silent(), ["stop.rounds=3"])
    assert json.loads((folder / "summary.json").read_text())["ranking"] == plain["some"]
    assert plain["some"] != plain["all"]


def lists_of(scenario, backend, folder):
    """The measures of everybody's lists after the last round."""
    checkpoints = checkpoints_of(folder, scenario)
    try:
        federation = Federation(scenario, Plan.of(scenario), backend, Silent(), checkpoints)
        for _ in federation.rounds():
            pass
        return federation.ranking()
    finally:
        backend.close()


def test_processes_that_die_change_nothing(local_ray, tmp_path):
    changes = PAIRS | {"participation": SOME, "stop__rounds": 4}
    still = lists_of(small(**changes, protocol__scheme="plain"), SerialBackend(), tmp_path / "still")
    on_ray = {"cluster__backend": "ray", "cluster__users_per_actor": 4, "cluster__server_shards": 2}
    dying = FaultyBackend([("train", 3, "UserActor"), ("close", 3, "ServerActor")])
    there = small(**changes, **on_ray, cluster__checkpoint_every=2)
    assert lists_of(there, dying, tmp_path / "dying") == still
    assert len(dying.killed) == 2


def test_training_makes_better_lists_than_counting(tmp_path):
    """Two tastes: whoever likes odd items likes no even ones, and all are rated alike."""
    lines = ["user,item,rating"]
    for user in range(60):
        lines += [f"{user},{item},{5 if item % 2 == user % 2 else 1}" for item in range(40)]
    (tmp_path / "tastes.csv").write_text("\n".join(lines) + "\n")
    ratings = {"source": "file", "path": str(tmp_path / "tastes.csv")}
    found = {}
    for rule in ("item_item", "batch"):
        tree = {
            "name": "tastes", "ratings": ratings, "test": {"fraction": 0.3},
            "metrics": {"top_k": 3}, "model": {"rule": rule}, "stop": {"rounds": 2},
            "protocol": {"scheme": "plain"}, "cluster": {"backend": "serial", "users_per_actor": "auto"},
        }  # fmt: skip
        folder = run(scenario_file.parse(tree, "tastes.yaml"), tmp_path / rule, Silent())
        found[rule] = json.loads((folder / "summary.json").read_text())["ranking"]["precision"]
    assert found["item_item"] > 0.9 > 0.6 > found["batch"]


@pytest.mark.parametrize(
    "model",
    [
        {"rule": "item_item", "item_item": {"rated_is_liked": True, "reg": 5.0}},
        {"rule": "implicit", "implicit": {"rated_is_liked": True, "reg": 5.0}, "factors": 4},
        {"algorithm": "ease", "ease": {"rated_is_liked": True, "reg": 5.0}},
        {"algorithm": "ials", "ials": {"rated_is_liked": True, "reg": 5.0}, "factors": 4},
    ],
    ids=lambda model: model.get("rule") or model["algorithm"],
)
def test_clicks_are_enough_for_lists(tmp_path, model):
    """Every click counts as 1: people of two kinds click on items of their kind, each on some of them."""
    random, lines = np.random.default_rng(0), ["user,item,rating"]
    for user in range(60):
        lines += [f"{user},{item},1" for item in random.choice(np.arange(user % 2, 40, 2), 15, replace=False)]
    (tmp_path / "clicks.csv").write_text("\n".join(lines) + "\n")
    tree = {
        "name": "clicks", "ratings": {"source": "file", "path": str(tmp_path / "clicks.csv")},
        "test": {"fraction": 0.3}, "metrics": {"top_k": 5, "relevant_from": 1}, "model": model,
        "stop": {"rounds": 4}, "protocol": {"scheme": "plain"},
        "cluster": {"backend": "serial", "users_per_actor": "auto"},
    }  # fmt: skip
    folder = run(scenario_file.parse(tree, "clicks.yaml"), tmp_path / "run", Silent())
    found = json.loads((folder / "summary.json").read_text())["ranking"]
    # About ten of twenty items of a kind are left to be shown, of which four or five were held out.
    assert found["hit_rate"] > 0.9
    assert found["precision"] > 0.35


def test_it_converges_when_nobody_adds_anything_new(tmp_path):
    folder, _ = results_of(tmp_path, protocol__scheme="plain", stop={"rounds": 9, "tolerance": 1e-9})
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["rounds"]) == ("converged", 3)


def test_an_estimate_has_the_bytes_of_a_run(tmp_path):
    folder, _ = results_of(tmp_path, protocol__scheme="packed")
    rows = pd.read_csv(folder / "rounds.csv")
    found = estimate(small(**PAIRS, protocol__scheme="packed"), SerialBackend())
    each = sorted((found, *found.others), key=lambda one: one.first)
    assert [one.first for one in each] == [0, 1, 2], "a census, pairs that nobody reads yet, and both"
    for number, one in enumerate(each):
        for column in ("upload_bytes_total", "download_bytes_total"):
            assert one.row[column] == rows[column][number]
        assert one.row["user_cpu_s_max"] > 0


def test_a_ciphertext_holds_as_many_pairs_as_fit():
    """On the scale of ml-latest-small: 572 ciphertexts of pairs, and all counts in 45."""
    wide = {"model__item_item": {"top_items": 500}, "ratings__users": 610, "ratings__items": 9724}
    plan = Plan.of(small(**PAIRS | wide, protocol__scheme="packed", protocol__key_bits=3072))
    blocks = plan.terms.blocks
    assert (blocks.shape.value_bits, blocks.columns) == (14, 219)
    assert (blocks.item_count, len(blocks.shared)) == (45, 572)
    assert "125,250 more numbers in 0.439 MB, which every user uploads" in layout_line(plan)


def test_without_ciphertexts_blocks_are_long_too():
    """One number per block would cost eight bytes for its place, and more under schemes that seal blocks."""
    wide = {"model__item_item": {"top_items": 500}, "ratings__users": 610, "ratings__items": 9724}
    blocks = Plan.of(small(**PAIRS | wide, protocol__scheme="plain")).terms.blocks
    assert (blocks.columns, blocks.item_count, len(blocks.shared)) == (256, 38, 490)
    small_blocks = Plan.of(small(**PAIRS, protocol__scheme="elementwise")).terms.blocks
    assert (small_blocks.columns, len(small_blocks.shared)) == (1, 36)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stop__rounds": 1}, "stop.rounds: rule item_item needs 2 or more: the first is a census"),
        ({"metrics__popularity": 0.5}, "metrics.popularity: is in stars, and the scores of rule item_item"),
        ({"model__item_item": {"top_item": 8}}, "item_item.top_item"),
        ({"model__item_item": {"top_items": 8.5}}, "item_item.top_items"),
        ({"model__item_item": {"reg": 0.0}}, "rule: item_item.reg: should be above 0"),
        ({"model__item_item": {"top_items": 21}}, "model.item_item.top_items: 21 items are more than the 20"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_settings_are_one_line(tmp_path, changes, line):
    with pytest.raises(FedMFError, match=line) as error:
        run(small(**PAIRS | changes), tmp_path, Silent())
    assert "\n" not in str(error.value)
