"""Losses over rounds: one line per run, and none for what a run has not."""

import subprocess
import sys

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.runs import read_run

PARTS = [column for part, column in SEGMENTS.items() if part != "server"]


def test_one_line_a_run_in_each_panel(make_run):
    runs = [
        read_run(make_run("ours", [(4, 2), (3, 1.5)])),
        read_run(make_run("central", [(4, 2), (2, 1), (1, 0.9)], algorithm="regular_mf")),
    ]
    axes = convergence(runs).axes
    assert [axis.get_title(loc="left") for axis in axes] == ["training MSE (stars²)", "test RMSE (stars)"]
    mse = {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes[0].lines}
    assert mse == {
        "ours (packed, 3072 bits)": ([0, 1], [4, 3]),
        "central (regular_mf, central)": ([0, 1, 2], [4, 2, 1]),
    }
    assert all(axis.get_xlabel() for axis in axes)


def test_a_run_without_a_test_set_has_one_panel(make_run):
    assert len(convergence([read_run(make_run("r", [(4, "nan"), (3, "nan")]))]).axes) == 1


def test_lists_that_were_measured_after_rounds_have_a_panel(make_run):
    learning, listing = (read_run(make_run(name, [(4, 2), (3, 1)])) for name in ("ratings", "lists"))
    listing.rounds[["train_mse", "test_rmse"]] = 1.0  # a rule that predicts no ratings
    for run in (learning, listing):
        run.rounds["ndcg"] = [0.1, 0.3]
    (lists,) = convergence([listing]).axes
    assert lists.get_title(loc="left") == "NDCG of lists"
    assert lists.lines[0].get_ydata().tolist() == [0.1, 0.3]
    assert len(convergence([learning]).axes) == 3
    assert len(convergence([learning, read_run(make_run("without", [(4, 2), (3, 1)]))]).axes) == 2


def test_an_error_that_falls_by_little_is_no_flat_line(make_run):
    falling, little = convergence([read_run(make_run("r", [(4, 0.90), (3, 0.86), (1, 0.85)]))]).axes
    assert falling.get_ylim() == (0, pytest.approx(4.2))
    assert 0.8 < little.get_ylim()[0] < 0.85
    assert 0.90 < little.get_ylim()[1] < 0.95


def test_runs_without_any_loss_are_refused(make_run):
    with pytest.raises(FedMFError, match="no run has a loss to draw"):
        convergence([read_run(make_run("r", [("nan", "nan")]))])


def test_lines_differ_in_colour_and_in_dashes(make_run):
    runs = [read_run(make_run(f"r{n}", [(4, 2), (3, 1)])) for n in range(5)]
    lines = convergence(runs).axes[0].lines
    assert len({line.get_color() for line in lines}) == 5
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 5


def test_the_script_writes_the_picture_and_says_where(make_run, tmp_path, root, script_env):
    folder, picture = make_run("r", [(4, 2), (3, 1)]), tmp_path / "out" / "c.svg"
    command = [sys.executable, root / "analysis" / "convergence.py", folder, "-o", picture]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=script_env)
    assert done.stdout.strip() == str(picture)
    assert "round (the first is 0)" in picture.read_text()
