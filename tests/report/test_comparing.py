"""Runs side by side."""

import math

import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.report.comparing import compared, same_losses
from fedmf_ray.report.runs import read_run
from tests.support.small_runs import small


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    made = {
        "plain": small(protocol__scheme="plain"),
        "packed": small(),
        "faster": small(protocol__scheme="plain", model__learning_rate=0.03, stop__rounds=2),
        "biases": small(model__algorithm="biases"),
        "pairs": small(model__rule="item_item", protocol__scheme="masked", stop__rounds=2),
    }
    return {name: read_run(run(scenario, folder, Silent())) for name, scenario in made.items()}


def by(table, part):
    return table[table["part"] == part].set_index("what").iloc[:, 1:]


def test_settings_that_differ_then_quality_protection_cost(runs):
    table = compared([runs["plain"], runs["packed"]])
    assert list(dict.fromkeys(table["part"])) == ["settings", "quality", "protection", "cost"]
    settings = by(table, "settings")
    assert settings.loc["protocol.scheme"].tolist() == ["plain", "packed"]
    assert "model.learning_rate" not in settings.index
    quality = by(table, "quality").loc["test_rmse"].tolist()
    assert quality == [one.rounds["test_rmse"].iloc[-1] for one in (runs["plain"], runs["packed"])]
    words = by(table, "protection").iloc[0].tolist()
    assert "reads every upload" in words[0]
    assert "reads no value" in words[1]
    (row,) = [what for what in by(table, "cost").index if what.startswith("protocol_s")]
    assert by(table, "cost").loc[row].tolist()[1] == runs["packed"].rounds["protocol_s"].mean()


def test_what_a_list_takes_beside_rounds_is_a_cost(runs):
    """The sums of pairs are read for lists alone, when no round begins any more."""
    name = "lists: bytes more, down, of a user who wants a list (counted)"
    plain, pairs = by(compared([runs["plain"], runs["pairs"]]), "cost").loc[name].tolist()
    assert plain is None or math.isnan(plain)
    assert pairs == runs["pairs"].summary["lists"]["download_bytes_mean"] > 0
    assert name not in by(compared([runs["plain"], runs["faster"]]), "cost").index


def test_whether_losses_are_the_same_is_said_for_the_rounds_that_all_have(runs):
    assert same_losses([runs["plain"], runs["packed"]]) == (
        "losses are the same to the last bit in the 3 rounds that all runs have"
    )
    assert same_losses([runs["plain"], runs["faster"]]) == (
        "losses differ from round 0 on (the 2 rounds that all runs have)"
    )


def test_lines_about_the_same_stand_side_by_side(runs):
    said = compared([runs["plain"], runs["packed"], runs["pairs"]])
    rows = said[said["part"] == "protection"].iloc[:, 2:].to_numpy().tolist()
    server, helped, users, pairs = rows
    assert all(line for line in server)
    assert [bool(line) for line in helped] == [False, True, True]
    assert all(line.startswith("users read the item matrix") for line in users)
    assert [bool(line) for line in pairs] == [False, False, True]


def test_a_central_baseline_has_no_costs_of_a_protocol(runs):
    table = compared([runs["biases"], runs["plain"]])
    (row,) = [what for what in by(table, "cost").index if what.startswith("protocol_s")]
    assert math.isnan(by(table, "cost").loc[row].iloc[0])
    assert "one process holds all ratings" in by(table, "protection").iloc[0].iloc[0]


def test_one_run_alone_is_refused(runs):
    with pytest.raises(FedMFError, match="name two runs or more"):
        compared([runs["plain"]])


def test_the_command_writes_what_it_shows(runs, tmp_path):
    paths = [str(runs[name].path) for name in ("plain", "packed")]
    done = CliRunner().invoke(cli, ["compare", *paths, "-o", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    assert "protocol.scheme" in (tmp_path / "table.md").read_text()
    same = CliRunner().invoke(cli, ["compare", paths[0], paths[0]])
    assert same.exit_code == 0, same.output


def test_an_unknown_command_is_answered_with_the_nearest():
    done = CliRunner().invoke(cli, ["comapre", "a", "b"])
    assert done.exit_code == 2
    assert "no such command 'comapre': did you mean compare?" in done.output
