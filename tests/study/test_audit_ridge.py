"""Audits of the ridge rule end to end: what its uploads and its columns of counts give away, and to whom."""

import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.audit import audit_run
from tests.study.test_audit import GRID, chosen


def ridge(observe, scheme="plain", rounds=4, **protocol):
    tree = chosen(observe, scheme, users=12, items=30, update_bound=4.0, **protocol).model_dump(mode="json")
    tree["model"] |= {
        "rule": "ridge",
        "factors": 4,
        "biases": True,
        "mean": 3.5,
        "reg_user": 2.0,
        "reg_item": 2.0,
    }
    tree["stop"]["rounds"] = rounds
    return scenario_file.parse(tree, "x.yaml")


@pytest.mark.parametrize("scheme", ["plain", "packed"])
@pytest.mark.parametrize("learning", [0, 1])
def test_one_learning_round_of_ridge_in_the_clear_gives_everything(tmp_path, scheme, learning):
    observe = {"who": "server", "rounds": [learning, 4], "collusion": scheme == "packed"}
    findings = audit_run(run(ridge(observe, scheme), tmp_path, Silent()), GRID)
    assert [finding.attack for finding in findings] == ["flat loss"]
    assert findings[0].recovered == 1
    assert findings[0].rounds == 1


def test_the_census_alone_is_no_view_to_attack(tmp_path):
    folder = run(ridge({"who": "server", "rounds": [0]}, min_raters=2), tmp_path, Silent())
    with pytest.raises(FedMFError, match="census alone"):
        audit_run(folder, GRID)


@pytest.mark.parametrize("least", [1, 2])
def test_min_raters_hides_lone_raters_from_other_users(tmp_path, least):
    observe = {"who": "user", "rounds": [2, 3]}  # later than the first that learns: nobody takes its own away
    tree = ridge(observe, min_raters=least).model_dump(mode="json")
    tree["ratings"] |= {"sparsity": 0.85, "items": 200, "popularity_skew": 0.2, "users": 4}
    changes, linked = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)
    assert changes.attack == "changes of V"
    assert linked.attack == "equal L of lone raters"
    if least == 1:
        assert changes.rated_precision == 1
        assert changes.rated_recall > 0.3
        assert linked.rated_recall > 0.3
    else:
        assert changes.rated_recall == linked.rated_recall == 0


@pytest.mark.parametrize("least", [1, 2, 3])
def test_one_of_two_raters_is_an_insider_and_three_hide_each_other(tmp_path, least):
    learning = int(least > 1)
    tree = ridge({"who": "user", "rounds": [learning, learning + 1]}, min_raters=least).model_dump(
        mode="json"
    )
    tree["ratings"] |= {"sparsity": 0.7, "items": 120, "popularity_skew": 0.2, "users": 6}
    findings = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)
    pairs = findings[2]
    assert pairs.attack == "pairs of raters, less its own"
    if least < 3:
        assert pairs.rated_precision == 1
        assert pairs.users == 6
        assert pairs.recovered > 0.05
    else:
        assert (pairs.users, pairs.recovered) == (0, 0)


@pytest.mark.parametrize("rule", ["ridge", "batch"])
def test_users_whom_the_next_round_does_not_ask_are_read_all_the_same(tmp_path, rule):
    observe = {"who": "server", "rounds": [1, 2]}
    shared = ridge(observe) if rule == "ridge" else chosen(observe, fraction_bits=40)
    tree = shared.model_dump(mode="json") | {"participation": {"share": 0.5}}
    finding = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)[0]
    assert finding.rated_precision == 1
    assert finding.recovered == pytest.approx(finding.rated_recall, abs=0.05)
    assert 0.3 < finding.recovered < 0.7
