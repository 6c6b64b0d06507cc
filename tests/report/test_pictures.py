"""Pictures: the right figures, and no line or bar that mixes kinds of seconds."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.breakdown import breakdown, shares
from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.cost import cost
from fedmf_ray.report.runs import read_run, read_study
from fedmf_ray.report.scaling import scaling, strong, weak
from fedmf_ray.report.table import cost_table, markdown
from fedmf_ray.report.traffic import traffic, traffic_of_runs

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
        "ours (packed, 3072 bits)": ([1, 2], [4, 3]),
        "central (central)": ([1, 2, 3], [4, 2, 1]),
    }
    assert all(axis.get_xlabel() for axis in axes)


def test_a_run_without_a_test_set_has_one_panel(make_run):
    assert len(convergence([read_run(make_run("r", [(4, "nan"), (3, "nan")]))]).axes) == 1


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


def test_the_script_writes_the_picture_and_says_where(make_run, tmp_path, root):
    folder, picture = make_run("r", [(4, 2), (3, 1)]), tmp_path / "out" / "c.svg"
    command = [sys.executable, root / "analysis" / "convergence.py", folder, "-o", picture]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(picture)
    assert "rounds completed" in picture.read_text()


def test_cost_is_the_mean_over_rounds_with_one_line_per_other_key(study):
    (axis,) = cost(study).axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
    assert lines == {
        "part text": pytest.approx([0.4, 0.8, 8.0]),
        "full text": pytest.approx([0.8, 1.6, 16.0]),
    }
    assert (axis.get_xscale(), axis.get_yscale(), axis.get_xlabel()) == ("log", "log", "ratings.items")
    assert "derived" in axis.get_title(loc="left")


def test_any_swept_key_can_be_the_axis(study):
    (axis,) = cost(study, over="protocol.part_text_sparsity", column="upload_bytes_total").axes
    assert [line.get_label() for line in axis.lines] == ["items 40", "items 80", "items 800"]
    assert axis.get_xscale() == "linear"


def test_one_line_needs_no_legend(study):
    one = study.drop(columns="protocol.part_text_sparsity")
    assert not cost(one).legends


def test_published_seconds_are_series_of_their_own(study):
    (axis,) = cost(study, published=True).axes
    marks = {
        line.get_label(): line.get_ydata().tolist() for line in axis.lines if line.get_linestyle() == "None"
    }
    assert marks == {
        "authors' log: full text, 7 users, 1024 bits": [7.29],
        "authors' log: part text, 7 users, 1024 bits": [4.59],
    }


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"over": "seed"}, "--over seed: the study swept ratings.items, protocol.part_text_sparsity"),
        ({"column": "happiness"}, "the table: its rounds have no column happiness"),
    ],
)
def test_what_the_study_lacks_is_named(choice, message, study):
    with pytest.raises(FedMFError, match=message):
        cost(study, **choice)


def test_charged_and_measured_never_share_a_line(mixed):
    (axis,) = cost(mixed).axes
    lines = {line.get_label(): line for line in axis.lines}
    assert set(lines) == {"packed", "packed (charged)"}
    assert lines["packed"].get_markerfacecolor() != "white"
    assert lines["packed (charged)"].get_markerfacecolor() == "white"
    # Also where nothing but the basis tells them apart.
    same = mixed.assign(**{"protocol.scheme": "packed", "protocol.charge": None})
    assert {line.get_label() for line in cost(same).axes[0].lines} == {"measured", "(charged)"}


def test_segments_are_shares_of_the_protocol_seconds(mixed):
    table = shares([("study", mixed)])
    assert table[[*PARTS, "server_cpu_s"]].sum(axis=1).tolist() == pytest.approx(table["protocol_s"].tolist())
    (axis,) = breakdown([("study", mixed)]).axes
    widths = np.array([[bar.get_width() for bar in part] for part in axis.containers])
    assert widths.shape == (6, 4)
    assert widths.sum(axis=0) == pytest.approx([100] * 4)
    assert widths[1, 0] == pytest.approx(100 * 0.08 / (0.6 + 0.5))
    hatches = {
        text.get_text(): bar.get_hatch()
        for text, bar in zip(axis.get_yticklabels(), axis.containers[0], strict=True)
    }
    assert {label: bool(hatch) for label, hatch in hatches.items()} == {
        "packed, items 40": False, "packed, items 40 (charged)": True,
        "packed, items 400": False, "packed, items 400 (charged)": True,
    }  # fmt: skip


def test_traffic_is_of_one_user(mixed):
    axes = traffic(mixed).axes
    assert [axis.get_title(loc="left") for axis in axes] == [
        "MB up, user and round (counted or charged)",
        "MB down, user and round (counted or charged)",
    ]
    assert axes[0].lines[0].get_ydata().tolist() == [4, 40]
    assert axes[1].lines[0].get_ydata().tolist() == [8, 80]


def test_speed_up_and_weak_scaling_are_told_apart():
    rows = [(120, 1, 12.0), (120, 2, 7.0), (120, 4, 4.0), (60, 1, 6.5), (30, 1, 3.5)]
    table = pd.DataFrame(rows, columns=["users", "user_actors", "wall_s"])
    assert strong(table)[["workers", "speedup"]].values.tolist() == [[1, 1], [2, 12 / 7], [4, 3]]
    assert weak(table)[["a_worker", "workers", "wall_s"]].values.tolist() == [
        [30, 1, 3.5], [30, 4, 4.0], [60, 1, 6.5], [60, 2, 7.0]
    ]  # fmt: skip
    left, right = scaling(table).axes
    ideal = next(line for line in left.lines if line.get_label() == "ideal")
    assert ideal.get_ydata().tolist() == [1, 2, 4]
    assert right.get_ylim()[0] == 0
    with pytest.raises(FedMFError, match="no two cells"):
        scaling(table.iloc[:1])


def test_a_column_that_old_runs_lack_is_named(mixed, make_run):
    with pytest.raises(FedMFError, match=r"old: its rounds have no column slowest_decrypt_s"):
        breakdown([("old", mixed.drop(columns="slowest_decrypt_s"))])
    folder = make_run("r", [(4, 2)])
    (folder / "rounds.csv").write_text("round,train_mse\n0,3\n")
    with pytest.raises(FedMFError, match="no column test_rmse"):
        convergence([read_run(folder)])


def test_the_table_has_a_row_a_cell_with_its_basis(mixed):
    lines = markdown(cost_table(mixed)).splitlines()
    assert lines[0].startswith("| setting | basis | protocol_s | download | decrypt |")
    assert lines[2] == "| packed, items 40 | measured | 1.1 | 0.04 | 0.08 | 0.12 | 0.16 | 0.2 | 0.5 | 4 | 8 |"
    assert [line.split(" | ")[1] for line in lines[2:]] == ["measured", "charged"] * 2


def test_two_runs_of_one_scenario_have_a_bar_each(mixed):
    table = mixed.iloc[:1].drop(columns="cell")
    for width in (7.2, 3.5):
        (axis,) = breakdown([("r one", table), ("r two", table)], width=width).axes
        assert [len(part) for part in axis.containers] == [2] * 6
    assert len(shares([("a", mixed), ("b", mixed)])) == 8


def test_a_cell_with_rows_of_two_kinds_has_a_bar_of_each(mixed):
    table = shares([("study", mixed.assign(cell=0))])
    assert table["basis"].value_counts().to_dict() == {"measured": 1, "charged": 1}


def test_seconds_are_lengths_if_asked_for(mixed):
    (axis,) = breakdown([("study", mixed)], seconds=True).axes
    ends = [bar.get_x() + bar.get_width() for bar in axis.containers[-1]]
    assert ends == pytest.approx(mixed["protocol_s"].tolist())


@pytest.mark.parametrize(
    ("column", "basis", "title"),
    [
        ("protocol_s", "measured", "protocol seconds a round (derived)"),
        ("protocol_s", "charged", "protocol seconds a round (derived, charged)"),
        ("server_cpu_s", "measured", "CPU seconds of the server (measured)"),
        ("server_cpu_s", "charged", "CPU seconds of the server (charged)"),
        ("wall_s", "charged", "seconds this simulation took a round (measured)"),
        ("wall_s", "estimated", "seconds this simulation took a round (estimated)"),
        ("upload_bytes_total", "estimated", "MB uploaded a round, all users (estimated)"),
    ],
)
def test_a_title_says_what_kind_of_figures_it_shows(column, basis, title, mixed):
    (axis,) = cost(mixed.assign(basis=basis), column=column).axes
    assert axis.get_title(loc="left") == title


def test_rows_without_the_figure_are_left_out(study):
    study.loc[study["protocol.part_text_sparsity"] == 0, "protocol_s"] = np.nan
    (axis,) = cost(study).axes
    assert len(axis.lines) == 1
    with pytest.raises(FedMFError, match="no row has a figure for protocol_s"):
        cost(study.assign(protocol_s=np.nan))


def test_keys_that_move_together_make_one_line_and_are_named_on_the_axis(study):
    study["model.factors"] = study["ratings.items"] // 4
    zipped = study[["cell", "ratings.items", "model.factors", "round", "protocol_s"]]
    (axis,) = cost(zipped).axes
    assert [len(line.get_xdata()) for line in axis.lines] == [3]
    assert axis.get_xlabel() == "ratings.items (with factors)"


def test_more_lines_than_eyes_can_follow_are_refused(study):
    many = pd.concat([study.assign(seed=seed) for seed in range(20)])
    many = many[["cell", "ratings.items", "protocol.part_text_sparsity", "seed", "round", "protocol_s"]]
    with pytest.raises(FedMFError, match="40 lines over ratings.items are more than"):
        cost(many)


def test_the_authors_figures_stand_over_items_only(study):
    with pytest.raises(FedMFError, match="protocol_s over items, not protocol_s over protocol.part_text"):
        cost(study, over="protocol.part_text_sparsity", published=True)


def test_bytes_of_runs_are_bars_with_their_basis(mixed):
    tables = [("one", mixed.iloc[:1]), ("two", mixed.iloc[1:2])]
    up, down = traffic_of_runs(tables).axes
    assert [bar.get_width() for bar in up.containers[0]] == [4, 4]
    assert [bar.get_width() for bar in down.containers[0]] == [8, 8]
    assert [text.get_text() for text in up.get_yticklabels()] == ["one", "two (charged)"]
    assert [bool(bar.get_hatch()) for bar in up.containers[0]] == [False, True]


@pytest.fixture
def workers():
    """Four users on one and two workers, under encryption and calibrated, on two sizes of items."""
    rows = [
        {"cell": cell, "ratings.items": items, "cluster.users_per_actor": 4 // actors, "round": 0,
         "basis": basis, "users": 4, "user_actors": actors, "wall_s": items / actors * scale}
        for cell, (items, actors, (basis, scale)) in enumerate(
            itertools.product([10, 20], [1, 2], [("measured", 1.0), ("charged", 0.1)]))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_scaling_keeps_settings_and_kinds_of_seconds_apart(workers):
    (axis,) = scaling(workers).axes  # no two cells with the same users a worker
    lines = {line.get_label(): line for line in axis.lines}
    assert set(lines) == {"4 users, items 10", "4 users, items 10 (charged)", "4 users, items 20",
                          "4 users, items 20 (charged)", "ideal"}  # fmt: skip
    assert all(line.get_ydata().tolist() == [1, 2] for line in lines.values())
    assert lines["4 users, items 10 (charged)"].get_markerfacecolor() == "white"


def test_each_line_of_scaling_has_the_ideal_of_its_own_fewest_workers():
    rows = [(120, 1, 12.0), (120, 2, 7.0), (240, 2, 12.0), (240, 4, 7.0)]
    table = pd.DataFrame(rows, columns=["users", "user_actors", "wall_s"])
    left, right = scaling(table).axes
    ideals = [line.get_xydata().tolist() for line in left.lines if line.get_color() == "black"]
    assert ideals == [[[1, 1], [2, 2]], [[2, 1], [4, 2]]]
    flat = [line.get_ydata().tolist() for line in right.lines if line.get_color() == "black"]
    assert flat == [[7.0, 7.0], [12.0, 12.0]]


def test_the_table_keeps_cells_of_several_studies_apart(mixed, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    mixed.assign(protocol_s=7.0).to_csv(tmp_path / "b.csv", index=False)
    table = cost_table(read_study(tmp_path / "a.csv", tmp_path / "b.csv"))
    assert len(table) == 8
    assert table["protocol_s"].tolist()[-4:] == [7.0] * 4
    assert table["setting"].iloc[-1] == "packed, study b, items 400"


def test_a_long_legend_takes_nothing_from_the_panel(study):
    many = pd.concat([study.assign(seed=seed) for seed in range(10)])
    many = many[["cell", "ratings.items", "protocol.part_text_sparsity", "seed", "round", "protocol_s"]]
    figure = cost(many, width=3.5)
    figure.draw_without_rendering()
    assert len(figure.legends[0].get_texts()) == 20
    assert figure.axes[0].get_window_extent().height / figure.dpi > 1.5
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 20
