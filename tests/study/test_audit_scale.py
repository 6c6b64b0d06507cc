"""Audits know the scale of the ratings without being told: everybody who takes part knows it."""

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import Synthetic
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.audit import audit_run

RULES = {
    "sequential": {"rule": "sequential", "factors": 30},
    "batch": {"rule": "batch", "factors": 30},
    "ridge": {"rule": "ridge", "factors": 5},
}


def ratings(path, per_star, shift):
    """A file of synthetic ratings, each turned into per_star * stars + shift."""
    source = Synthetic(users=12, items=40, sparsity=0.5)
    people = source.population(1, Split()).ratings
    rows = [
        (f"u{user}", f"i{item}", per_star * value + shift)
        for user in range(1, 13)
        for item, value in zip(people.user(user).items, people.user(user).values, strict=True)
    ]
    pd.DataFrame(rows, columns=["user", "item", "rating"]).to_csv(path, index=False)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("per_star", "shift"), [(2, 0), (20, 0), (0.2, -0.5)])
def test_gradients_in_the_clear_give_every_rating_away_on_any_scale(tmp_path, rule, per_star, shift):
    ratings(tmp_path / "ratings.csv", per_star, shift)
    tree = {
        "name": "audited",
        "ratings": {"source": "file", "path": str(tmp_path / "ratings.csv")},
        "model": RULES[rule],
        "protocol": {"scheme": "plain", "fraction_bits": 40, "value_bound": 2000, "update_bound": 200},
        "stop": {"rounds": 3},
        "cluster": {"backend": "serial", "checkpoint_every": "never"},
        "observe": "server",
    }
    found = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path / "results", Silent()))
    assert max(finding.recovered for finding in found if finding.recovered is not None) >= 0.999


def test_a_scale_that_is_told_is_that_of_the_attack(tmp_path):
    """With a wrong grid, recovered ratings are no ratings: what a user met with 1 to 10 on that of stars."""
    ratings(tmp_path / "ratings.csv", 2, 0)
    tree = {
        "name": "audited",
        "ratings": {"source": "file", "path": str(tmp_path / "ratings.csv")},
        "model": RULES["batch"],
        "protocol": {"scheme": "plain", "fraction_bits": 40},
        "stop": {"rounds": 2},
        "cluster": {"backend": "serial", "checkpoint_every": "never"},
        "observe": "server",
    }
    folder = run(scenario_file.parse(tree, "x.yaml"), tmp_path / "results", Silent())
    assert audit_run(folder, np.arange(1, 11) / 2)[0].recovered < 0.9
    assert audit_run(folder)[0].recovered >= 0.999
