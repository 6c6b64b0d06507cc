"""Errors over what was swept: the right mean in the right place, and a picture that can be read."""

import itertools

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import COLUMN_INCHES, PAGE_INCHES
from fedmf_ray.report.series import lines, merged
from fedmf_ray.report.settings import error_over, heat_map, over_two
from fedmf_ray.testing.pictures import _tick_boxes
from fedmf_ray.testing.sample_folders import sample_study

RATES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]


def grid(seeds=(1,), factors=(2, 4, 8), rates=RATES):
    rows = [
        {"cell": cell, "seed": seed, "model.factors": d, "model.learning_rate": rate, "round": number,
         "test_rmse": d + rate + seed + (1 - number)}
        for cell, (seed, d, rate) in enumerate(itertools.product(seeds, factors, rates))
        for number in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_seeds_are_averaged_and_the_last_round_counts():
    found = over_two(grid(seeds=(1, 2)))
    assert found.shape == (3, 7)
    assert found.loc[4, 0.01] == pytest.approx(4 + 0.01 + 1.5)


@pytest.mark.parametrize("width", [COLUMN_INCHES, PAGE_INCHES])
def test_labels_of_21_cells_do_not_touch_and_nothing_is_cut(width):
    figure = heat_map(grid(), width)
    FigureCanvasAgg(figure).draw()
    axis, bar = figure.axes
    for direction in (axis.xaxis, axis.yaxis, bar.yaxis):
        boxes = _tick_boxes(direction)
        assert len(boxes) >= 2
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    written = [text.get_window_extent() for text in axis.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(written, 2))
    drawn = figure.get_tightbbox()
    assert max(-drawn.x0, -drawn.y0, drawn.x1 - width, drawn.y1 - figure.get_figheight()) < 0.03


def test_one_key_is_a_line_and_three_are_none():
    table = grid(factors=(4,))
    assert len(error_over(table).axes[0].lines[0].get_xdata()) == len(RATES)
    with pytest.raises(FedMFError, match="two swept keys"):
        heat_map(table)
    with pytest.raises(FedMFError, match="one swept key"):
        error_over(grid())


def test_lines_that_coincide_are_one_line():
    table = grid().assign(test_rmse=lambda rows: rows["model.factors"] * 1.0)
    found = lines(table, "model.factors", ["test_rmse"])
    assert len(found) == len(RATES)
    assert [line.label for line in merged(found, ["test_rmse"])] == ["all 7 settings alike"]
    assert len(merged(lines(grid(), "model.factors", ["test_rmse"]), ["test_rmse"])) == len(RATES)


def test_a_cell_that_diverged_is_no_result(tmp_path):
    folder = sample_study(tmp_path / "study", ["measured"])
    folder.cells.loc[folder.cells["cell"] == 0, "status"] = "diverged"
    assert 0 not in set(folder.ended["cell"])
    assert len(folder.ended) == len(folder.rounds) - 2
