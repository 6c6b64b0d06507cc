"""Items, vectors and predictions as files: what is in them, for whom, and that they are whole."""

import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import fedmf_ray
from fedmf_ray import FedMFError
from fedmf_ray.api import exported
from fedmf_ray.cli.main import cli
from tests.support.own_data import PLAIN, taste_frame

TITLES = {item: f"Title of {item}" for item in taste_frame()["item"].unique()}


@pytest.fixture
def run():
    return fedmf_ray.run(PLAIN, ratings=taste_frame(), titles=TITLES)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_files_say_what_the_run_says(run, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    folder = run.export("out/mine", form)
    assert folder == Path("out/mine").absolute()
    read = pd.read_csv if form == "csv" else pd.read_parquet
    items, users, held_out = (read(folder / f"{name}.{form}") for name in ("items", "users", "predictions"))
    assert items.set_index("item")["title"].to_dict() == TITLES
    np.testing.assert_allclose(items["bias"], run.items()["bias"].to_numpy(), rtol=1e-15)
    vector = users.set_index("user").loc["user 03", ["factor_0", "factor_1", "factor_2", "bias"]]
    np.testing.assert_allclose(vector.to_numpy(float), run.user_vector("user 03"), rtol=1e-15)
    assert len(held_out) == 18 * 4
    assert held_out["title"].tolist() == [TITLES[item] for item in held_out["item"]]
    np.testing.assert_allclose(held_out["expected"], run.predict(held_out), rtol=1e-15)
    assert np.sqrt(np.mean((held_out["rating"] - held_out["expected"]) ** 2)) == pytest.approx(run.rmse())


def test_a_rule_of_lists_has_means_and_scores():
    model = {"rule": "item_item", "mean": 5.5, "item_item": {"top_items": 8}}
    run = fedmf_ray.run(PLAIN | {"model": model, "stop": {"rounds": 2}}, ratings=taste_frame())
    items = run.items()
    assert items.columns.tolist() == ["raters"]
    assert len(items) == 14
    folder = run.export("out")
    users, held_out = (pd.read_csv(folder / f"{name}.csv") for name in ("users", "predictions"))
    assert users.columns.tolist() == ["user", "mean"]
    means = held_out.merge(users, on="user")
    np.testing.assert_allclose(means["expected"], 5.5 + means["mean"])
    assert "rule item_item makes lists" in (folder / "README.txt").read_text()
    assert run.recommend("user 03").columns.tolist() == ["item", "title", "score", "held_out"]


def test_they_are_for_their_owner_alone(run):
    folder = run.export("out")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert "private" in (folder / "README.txt").read_text()


def test_the_command_writes_them_and_says_what_is_private(run):
    done = CliRunner().invoke(cli, ["export", str(run.path), "--to", "out"])
    assert done.exit_code == 0, done.output
    assert "a vector tells what a user likes" in done.output.replace("\n", " ")
    assert sorted(os.listdir("out")) == ["README.txt", "items.csv", "predictions.csv", "users.csv"]


def test_a_folder_that_is_shared_or_full_is_refused(run):
    inside = run.path / "plots" / "mine"
    with pytest.raises(FedMFError, match="is inside the run folder, which is shared"):
        run.export(inside)
    other = fedmf_ray.run(PLAIN, ratings=taste_frame())
    with pytest.raises(FedMFError, match="is inside a run folder"):
        run.export(other.path / "mine")
    Path("full").mkdir()
    Path("full/file").touch()
    with pytest.raises(FedMFError, match="is there already"):
        run.export("full")
    with pytest.raises(FedMFError, match="format: 'xls': give one of csv, parquet"):
        run.export("out", "xls")
    assert not inside.exists()


def test_nothing_is_left_of_an_export_that_fails(run, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exported, "_readme", full)
    with pytest.raises(FedMFError, match="No space left on device"):
        run.export("deep/out")
    assert list(Path("deep").iterdir()) == []


def test_a_run_without_a_test_set_has_no_predictions():
    run = fedmf_ray.run({**PLAIN, "test": {}}, ratings=taste_frame())
    assert pd.read_csv(run.export("out") / "predictions.csv").empty
