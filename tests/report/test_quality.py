"""Errors over rounds, seconds and bytes: what has been spent by then, and who got there."""

import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.quality import courses, quality, reaching


@pytest.fixture
def study():
    """Two rules, three rounds: ridge learns faster and costs twice as much a round."""
    rows = []
    for cell, (rule, errors, seconds) in enumerate(
        [("batch", [1.0, 0.95, 0.93], 1.0), ("ridge", [0.9, 0.88, 0.87], 2.0)]
    ):
        rows += [
            {"cell": cell, "model.rule": rule, "round": number, "test_rmse": error, "protocol_s": seconds,
             "upload_bytes_total": 4e6, "download_bytes_total": 6e6, "users": 5, "basis": "charged"}
            for number, error in enumerate(errors)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def test_costs_are_summed_up_over_rounds(study):
    batch, ridge = courses(study)
    assert batch.label.startswith("rule batch")
    assert batch.basis == "charged"
    assert ridge.spent["rounds"].tolist() == [1, 2, 3]
    assert ridge.spent["protocol_s"].tolist() == [2, 4, 6]
    assert ridge.spent["user_mb"].tolist() == [2, 4, 6]


def test_who_reached_an_error_and_for_what(study):
    table = reaching(courses(study), 0.88)
    assert table["best"].tolist() == ["0.9300", "0.8700"]
    assert table[["rounds", "protocol s", "MB per user"]].values.tolist() == [["", "", ""], ["2", "4", "4"]]


def test_panels_share_the_errors_and_name_the_lines(study):
    figure = quality(courses(study))
    axes = figure.axes
    assert len(axes) == 3
    assert len({axis.get_ylim() for axis in axes}) == 1
    assert [axis.get_xscale() for axis in axes] == ["log"] * 3
    assert "charged" in axes[1].get_title(loc="left")
    assert [text.get_text()[5:10] for text in figure.legends[0].get_texts()] == ["batch", "ridge"]


def test_cells_of_one_name_have_one_look_and_one_line_in_the_legend(study):
    folds = pd.concat([study, study.assign(cell=study["cell"] + 2, **{"test.fold": 1})], ignore_index=True)
    folds.insert(1, "test.fold", folds.pop("test.fold").fillna(0))
    figure = quality(courses(folds, ["model.rule"]))
    assert len(figure.legends[0].get_texts()) == 2
    assert len(figure.axes[0].lines) == 4
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2


def test_costs_of_two_kinds_are_not_summed_up(study):
    study.loc[study["round"] == 1, "basis"] = "measured"
    with pytest.raises(FedMFError, match="cell 0 has charged and measured rounds"):
        courses(study)


def test_the_command_prints_and_draws(study, tmp_path, script):
    main = script("quality")
    study.to_csv(tmp_path / "study.csv", index=False)
    picture = tmp_path / "q.png"
    done = CliRunner().invoke(main, [str(tmp_path), "--to", "0.88", "-o", str(picture)])
    assert done.exit_code == 0, done.output
    assert "| rule ridge" in done.output
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        (lambda table: table, ["model.factors"], "--by model.factors: the study swept model.rule"),
        (lambda table: table.drop(columns="protocol_s"), [], "have no column protocol_s"),
        (lambda table: table.assign(test_rmse=float("nan")), [], "no row has a test error"),
    ],
)
def test_what_cannot_be_drawn_is_said(study, change, by, message):
    with pytest.raises(FedMFError, match=message):
        courses(change(study), by)
