"""Costs over a swept key: the right figures, and no line that mixes kinds of seconds."""

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.cost import cost

PARTS = [column for part, column in SEGMENTS.items() if part != "server"]


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


@pytest.mark.parametrize(
    ("column", "basis", "title"),
    [
        ("protocol_s", "measured", "protocol seconds per round (derived)"),
        ("protocol_s", "charged", "protocol seconds per round (derived, charged)"),
        ("server_cpu_s", "measured", "CPU seconds of the server (measured)"),
        ("server_cpu_s", "charged", "CPU seconds of the server (charged)"),
        ("wall_s", "charged", "seconds this simulation took per round (measured)"),
        ("wall_s", "estimated", "seconds this simulation took per round (estimated)"),
        ("upload_bytes_total", "estimated", "MB uploaded per round, all users (estimated)"),
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


def test_a_long_legend_takes_nothing_from_the_panel(study):
    many = pd.concat([study.assign(seed=seed) for seed in range(10)])
    many = many[["cell", "ratings.items", "protocol.part_text_sparsity", "seed", "round", "protocol_s"]]
    figure = cost(many, width=3.5)
    figure.draw_without_rendering()
    assert len(figure.legends[0].get_texts()) == 20
    assert figure.axes[0].get_window_extent().height / figure.dpi > 1.5
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 20


def test_the_axis_of_bytes_fits_the_megabytes_that_are_drawn(study):
    (axis,) = cost(study, over="protocol.part_text_sparsity", column="upload_bytes_total").axes
    highest = max(line.get_ydata().max() for line in axis.lines)
    assert highest < axis.get_ylim()[1] < 1.2 * highest


def test_a_narrow_logarithmic_axis_has_several_ticks(study):
    flat = study.assign(protocol_s=3.0 + study["ratings.items"] / 800)
    (axis,) = cost(flat).axes
    assert axis.get_yscale() == "log"
    low, high = axis.get_ylim()
    assert sum(low <= tick <= high for tick in axis.get_yticks()) >= 2


def test_few_values_are_the_ticks_themselves(study):
    sizes = {40: 1024, 80: 2048, 800: 3072}
    keyed = study.rename(columns={"ratings.items": "protocol.key_bits"}).replace({"protocol.key_bits": sizes})
    (axis,) = cost(keyed, over="protocol.key_bits").axes
    assert axis.get_xticks().tolist() == [1024, 2048, 3072]
