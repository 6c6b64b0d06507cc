"""A scheme whose sums must be opened and a rule with shared tables, both plug-ins, through whole runs."""

import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.learning.rules import RULES
from fedmf_ray.schemes import SCHEMES
from tests.support.installed import install
from tests.support.small_runs import small

LOSSES = ["train_mse", "test_rmse", "test_mae"]


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    points = {
        "fedmf_ray.schemes": {"padded": "tests.support.padded_scheme:Padded"},
        "fedmf_ray.rules": {"moments": "tests.support.moments_rule:Moments"},
    }
    install(tmp_path, monkeypatch, "masks", "1.2", points)
    for registry in (SCHEMES, RULES):
        monkeypatch.setattr(registry, "_loaded", {})


def losses_of(tmp_path, scheme, **changes):
    folder = run(small(protocol__scheme=scheme, **changes), tmp_path, Silent())
    return pd.read_csv(folder / "rounds.csv")[LOSSES]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model__rule": "moments", "cluster__server_shards": 2},
        {"model__rule": "moments", "protocol__part_text_sparsity": 0.0},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())),
)
def test_they_give_the_same_losses_as_in_the_clear(tmp_path, changes):
    clear = losses_of(tmp_path, "plain", **changes)
    for scheme in ("padded", "packed"):
        assert losses_of(tmp_path, scheme, **changes).equals(clear)


def test_a_calibrated_run_charges_for_opening(tmp_path):
    charged = losses_of(tmp_path, "plain", protocol__charge="padded")
    assert charged.equals(losses_of(tmp_path, "plain"))
