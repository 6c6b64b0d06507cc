"""Studies: the right cells, each once, whatever dies in between."""

import json

import pandas as pd
import pytest
import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.study import sweep
from tests.support.small_studies import Watch


def test_lists_are_crossed_and_zipped_lists_go_together(load):
    study = load(
        {
            "ratings.items": [6, 8],
            "protocol.part_text_sparsity": [0, 1.0],
            "zip": {"model.factors": [2, 3, 4], "stop.rounds": [1, 2, 3]},
        }
    )
    seen = [tuple(cell.keys.values()) for cell in study.cells]
    assert len(seen) == 12
    assert seen[:4] == [(6, 0, 2, 1), (6, 0, 3, 2), (6, 0, 4, 3), (6, 1.0, 2, 1)]
    assert study.cells[-1].scenario.ratings.items == 8
    assert study.cells[-1].scenario.stop.rounds == 3


@pytest.mark.parametrize(
    ("swept", "message"),
    [
        ({"protocol.colour": [1]}, r"cell 0 \(protocol.colour=1\): protocol.colour: unknown key"),
        ({"model.factors": [2, 0]}, r"cell 1 \(model.factors=0\): model.factors: 0 should be greater than 0"),
        ({"model.factors": []}, "sweep.model.factors: must be a list with at least one value"),
        ({"model.factors": 3}, "sweep.model.factors: must be a list"),
        (
            {"zip": {"model.factors": [1, 2], "seed": [1]}},
            "lists must be equally long: model.factors has 2, seed has 1",
        ),
        ({"seed": [1], "zip": {"seed": [2]}}, "seed is swept twice"),
        ({}, "sweep: is missing"),
    ],
)
def test_a_bad_sweep_is_named_before_anything_runs(swept, message, load):
    with pytest.raises(FedMFError, match=message):
        load(swept)


def test_every_cell_is_a_run_folder_and_the_table_has_a_row_per_cell_and_round(load, tmp_path):
    study = load({"ratings.items": [6, 8], "seed": [1, 2, 3]})
    outcome = sweep.run_study(study, tmp_path, Watch())
    assert not outcome.incomplete
    table = pd.read_csv(outcome.path / "study.csv")
    assert len(table) == 12
    assert table[["ratings.items", "seed", "round"]].drop_duplicates().shape == (12, 3)
    assert {"train_mse", "protocol_s", "wall_s"} <= set(table)
    for cell in study.cells:
        folder = outcome.path / "cells" / cell.name
        alone = pd.read_csv(folder / "rounds.csv")
        assert table.loc[table["cell"] == cell.number, "train_mse"].tolist() == alone["train_mse"].tolist()
        assert yaml.safe_load((folder / "scenario.yaml").read_text())["seed"] == cell.keys["seed"]


def test_what_lists_are_measured_by_is_in_the_last_row_of_a_cell(load, tmp_path):
    study = load({"seed": [1, 2]}, test={"last": 1}, metrics={"top_k": 2, "relevant_from": 1})
    outcome = sweep.run_study(study, tmp_path, Watch())
    table = pd.read_csv(outcome.path / "study.csv")
    for cell, rows in table.groupby("cell"):
        summary = json.loads((outcome.path / "cells" / study.cells[cell].name / "summary.json").read_text())
        for measure in ("hit_rate", "precision", "recall", "ndcg"):
            assert rows[measure].isna().tolist() == [True, False]
            assert rows[measure].iloc[-1] == summary["ranking"][measure]


def test_folds_can_be_swept_and_share_no_test_rating(load, tmp_path):
    study = load({"test.fold": [0, 1, 2]}, test={"folds": 3})
    held = [
        (user.user_id, item)
        for cell in study.cells
        for user in Population.of(cell.scenario).all_ratings()
        for item in user.test_items.tolist()
    ]
    whole = Population.of(load({"seed": [1]}).cells[0].scenario).all_ratings()
    assert sorted(held) == sorted((user.user_id, item) for user in whole for item in user.items.tolist())
    table = pd.read_csv(sweep.run_study(study, tmp_path, Watch()).path / "study.csv")
    assert table.groupby("round")["test_rmse"].nunique().tolist() == [3, 3]


def test_a_killed_study_runs_only_what_is_missing_and_ends_the_same(load, tmp_path):
    study = load({"seed": [1, 2, 3, 4]})
    whole = pd.read_csv(sweep.run_study(study, tmp_path / "whole", Watch()).path / "study.csv")

    class Killed(Watch):
        def round(self, row, rounds):
            if len(self.seen) == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run_study(study, tmp_path / "killed", Killed())
    (path,) = tmp_path.glob("killed/*/*")
    assert pd.read_csv(path / "cells.csv")["status"].tolist() == [
        "complete",
        "complete",
        "missing",
        "missing",
    ]
    watch = Watch()
    assert sweep.run_study(study, tmp_path / "killed", watch).path == path
    assert watch.seen == ["cell 2 (seed=3)", "cell 3 (seed=4)"]
    resumed = pd.read_csv(path / "study.csv")
    losses = ["cell", "round", "train_mse"]
    assert resumed[losses].equals(whole[losses])


def test_an_interrupted_cell_goes_on_from_its_checkpoint_and_none_is_left(load, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "state"))
    study = load({"seed": [1, 2]})

    class Killed(Watch):
        def round(self, row, rounds):
            if len(self.seen) == 2 and row["round"] == 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run_study(study, tmp_path / "results", Killed())
    outcome = sweep.run_study(study, tmp_path / "results", Watch())
    assert not outcome.incomplete
    events = (outcome.path / "cells" / "0001" / "events.jsonl").read_text()
    assert json.loads(events)["event"] == "resumed"
    assert json.loads(events)["round"] == 1
    assert not [path for path in (tmp_path / "state").rglob("*") if path.is_file()]


def test_a_half_written_cell_is_run_again(load, tmp_path):
    study = load({"seed": [1, 2]})
    path = sweep.run_study(study, tmp_path, Watch()).path
    (path / "cells" / "0001" / "summary.json").write_text('{"status": ')
    watch = Watch()
    sweep.run_study(study, tmp_path, watch)
    assert watch.seen == ["cell 1 (seed=2)"]
    assert json.loads((path / "cells" / "0001" / "summary.json").read_text())["status"] == "complete"


def test_a_failed_cell_is_recorded_and_does_not_stop_the_others(load, tmp_path, monkeypatch):
    real = sweep.run_into

    def broken(path, chosen, progress):
        if chosen.seed == 2:
            raise RuntimeError("no luck\ntoday")
        return real(path, chosen, progress)

    monkeypatch.setattr(sweep, "run_into", broken)
    study = load({"seed": [1, 2, 3]})
    outcome = sweep.run_study(study, tmp_path, Watch())
    assert [(s.cell.number, s.status, s.reason) for s in outcome.incomplete] == [
        (1, "failed", "RuntimeError: no luck today")
    ]
    assert pd.read_csv(outcome.path / "cells.csv")["status"].tolist() == ["complete", "failed", "complete"]
    assert set(pd.read_csv(outcome.path / "study.csv")["cell"]) == {0, 2}
    monkeypatch.undo()
    watch = Watch()
    assert not sweep.run_study(study, tmp_path, watch).incomplete
    assert watch.seen == ["cell 1 (seed=2)"]


def test_a_diverged_cell_stays_incomplete_and_is_not_run_again(load, tmp_path):
    study = load({"model.learning_rate": [0.02, 9.0]})
    for watch in (Watch(), Watch()):
        (state,) = sweep.run_study(study, tmp_path, watch).incomplete
        assert state.status == "diverged"
        assert "learning_rate" in state.reason
    assert watch.seen == []


def test_cells_that_cannot_run_are_named_before_the_study_starts(load, tmp_path):
    study = load({"test.last": [0, 1]}, ratings={"source": "file", "path": str(tmp_path / "r.csv")})
    (tmp_path / "r.csv").write_text("user,item,rating\n1,1,3\n1,2,4\n2,1,5\n")
    with pytest.raises(FedMFError, match=r"cell 1 \(test.last=1\): user 2 has 1 ratings"):
        sweep.run_study(study, tmp_path / "results", Watch())
    assert not (tmp_path / "results").exists()


def test_a_folder_of_another_study_is_refused(load, tmp_path):
    sweep.run_study(load({"seed": [1]}), tmp_path, Watch(), tmp_path / "mine")
    with pytest.raises(FedMFError, match="holds a study of another scenario"):
        sweep.run_study(load({"seed": [1, 2]}), tmp_path, Watch(), tmp_path / "mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(FedMFError, match="is not empty and holds no study"):
        sweep.run_study(load({"seed": [1]}), tmp_path, Watch(), tmp_path / "other")


def test_cells_run_on_a_ray_that_is_there(load, tmp_path, local_ray):
    study = load({"seed": [1, 2]}, cluster={"backend": "ray", "users_per_actor": 3})
    assert not sweep.run_study(study, tmp_path, Watch()).incomplete
    assert local_ray.is_initialized()  # the test's own Ray is left alone
