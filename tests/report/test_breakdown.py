"""Where the time goes: shares of the protocol's seconds, as bars and as a table."""

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.breakdown import breakdown, shares
from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.runs import read_run, read_study
from fedmf_ray.report.table import cost_table, markdown

PARTS = [column for part, column in SEGMENTS.items() if part != "server"]


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


def test_who_opens_the_sums_has_a_part_where_a_scheme_has_that(mixed):
    opened = mixed.assign(open_s=0.3, protocol_s=mixed["protocol_s"] + 0.3)
    table = shares([("study", opened)])
    assert table[[*PARTS, "server_cpu_s"]].sum(axis=1).tolist() == pytest.approx(table["protocol_s"].tolist())
    (axis,) = breakdown([("study", opened)]).axes
    widths = np.array([[bar.get_width() for bar in part] for part in axis.containers])
    assert widths.shape == (7, 4)
    assert widths.sum(axis=0) == pytest.approx([100] * 4)
    assert cost_table(opened)["open"].tolist() == pytest.approx([0.3] * 4)


def test_the_table_has_a_row_a_cell_with_its_basis(mixed):
    lines = markdown(cost_table(mixed)).splitlines()
    assert lines[0].startswith("| setting | basis | protocol_s | download | read V |")
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


def test_the_table_keeps_cells_of_several_studies_apart(mixed, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    mixed.assign(protocol_s=7.0).to_csv(tmp_path / "b.csv", index=False)
    table = cost_table(read_study(tmp_path / "a.csv", tmp_path / "b.csv"))
    assert len(table) == 8
    assert table["protocol_s"].tolist()[-4:] == [7.0] * 4
    assert table["setting"].iloc[-1] == "packed, study b, items 400"


def test_a_column_that_old_runs_lack_is_named(mixed, make_run):
    with pytest.raises(FedMFError, match=r"old: its rounds have no column slowest_decrypt_s"):
        breakdown([("old", mixed.drop(columns="slowest_decrypt_s"))])
    folder = make_run("r", [(4, 2)])
    (folder / "rounds.csv").write_text("round,train_mse\n0,3\n")
    with pytest.raises(FedMFError, match="no column test_rmse"):
        convergence([read_run(folder)])
