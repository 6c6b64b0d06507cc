"""Means and spreads over folds: cells that differ in nothing else, at the same round."""

import itertools
import statistics

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from fedmf_ray.engine.progress import Silent
from fedmf_ray.errors import FedMFError
from fedmf_ray.report.folds import over_folds
from fedmf_ray.report.page import report
from fedmf_ray.study import cells, sweep


def rmse(factors, fold, rounds):
    return 1.0 + fold / 10 - factors / 100 - rounds / 1000 * (fold + 1)


@pytest.fixture
def folded():
    """Two numbers of factors, three folds, four rounds."""
    return pd.DataFrame(
        [
            {"cell": cell, "model.factors": factors, "test.fold": fold, "round": number,
             "test_rmse": rmse(factors, fold, number + 1), "test_mae": fold}
            for cell, (factors, fold) in enumerate(itertools.product([10, 20], [0, 1, 2]))
            for number in range(4)
        ]
    )  # fmt: skip


def test_each_setting_has_the_mean_and_deviation_of_its_folds(folded):
    table = over_folds(folded, after=[2, 4])
    assert table[["setting", "rounds", "folds"]].values.tolist() == [
        ["factors 10", 2, 3],
        ["factors 10", 4, 3],
        ["factors 20", 2, 3],
        ["factors 20", 4, 3],
    ]
    for row, (factors, rounds) in zip(table.itertuples(), [(10, 2), (10, 4), (20, 2), (20, 4)], strict=True):
        figures = [rmse(factors, fold, rounds) for fold in range(3)]
        assert row.test_rmse == pytest.approx(statistics.mean(figures))
        assert row.test_rmse_sd == pytest.approx(statistics.stdev(figures))
        assert row.test_mae == 1


def test_folds_that_ended_at_different_rounds_are_compared_at_the_last_common_one(folded):
    short = folded[(folded["cell"] != 4) | (folded["round"] < 3)]
    assert over_folds(short)["rounds"].tolist() == [4, 3]
    assert over_folds(short, after=[4])["folds"].tolist() == [3, 2]


def test_what_is_no_study_of_folds_is_named(folded):
    with pytest.raises(FedMFError, match="has not swept test.fold"):
        over_folds(folded.drop(columns="test.fold"))
    with pytest.raises(FedMFError, match="no fold has a figure for test_rmse, test_mae"):
        over_folds(folded, after=[9])


def test_a_study_of_folds_is_printed_and_reported(tmp_path, script):
    path = tmp_path / "study-folds.yaml"
    tree = {
        "ratings": {"source": "synthetic", "users": 5, "items": 12, "sparsity": 0.3},
        "test": {"folds": 3},
        "model": {"factors": 3, "learning_rate": 0.02},
        "protocol": {"scheme": "plain"},
        "stop": {"rounds": 2},
        "cluster": {"backend": "serial"},
        "sweep": {"test.fold": [0, 1, 2]},
    }

    class Quiet(Silent):
        def cell(self, done, total, name): ...

    path.write_text(yaml.safe_dump(tree))
    study = sweep.run_study(cells.load(path), tmp_path, Quiet()).path
    figures = pd.read_csv(study / "study.csv").query("round == 0")["test_rmse"].tolist()
    printed = CliRunner().invoke(script("folds"), [str(study), "--after", "1"], catch_exceptions=False).stdout
    shown = f"{statistics.mean(figures):.4f} ± {statistics.stdev(figures):.4f}"
    assert printed.splitlines()[2].startswith(f"|  | 1 | 3 | {shown} |")
    text = report(study).read_text()
    assert "Over folds" in text
    assert f"{pd.read_csv(study / 'study.csv').query('round == 1')['test_rmse'].mean():.4g}" in text
