"""Pictures from run folders: the right lines, and a clear word about folders that are none."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.breakdown import breakdown, shares
from analysis.convergence import convergence
from analysis.cost import cost
from analysis.runs import read_any, read_run, read_runs, read_study
from analysis.scaling import scaling, strong, weak
from analysis.table import cost_table, markdown
from analysis.traffic import traffic
from fedmf_ray import scenario_file
from fedmf_ray.errors import FedMFError


@pytest.fixture
def make_run(tmp_path):
    """A run folder with the given rounds."""

    def make(name, rows, **model):
        folder = tmp_path / name
        folder.mkdir()
        tree = {"name": name, "ratings": {"source": "synthetic", "users": 3, "items": 4}, "model": model}
        (folder / "scenario.yaml").write_text(scenario_file.parse(tree, name).to_yaml())
        lines = [
            "round,train_mse,test_rmse,users",
            *(f"{n},{mse},{rmse},3" for n, (mse, rmse) in enumerate(rows)),
        ]
        (folder / "rounds.csv").write_text("\n".join(lines) + "\n")
        (folder / "summary.json").write_text(json.dumps({"status": "complete"}))
        return folder

    return make


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


def test_a_folder_that_is_no_run_is_named(tmp_path, make_run, root):
    with pytest.raises(FedMFError, match="is not a run folder"):
        read_run(tmp_path)
    folder = make_run("r", [(4, 2)])
    (folder / "rounds.csv").unlink()
    done = subprocess.run(
        [sys.executable, root / "analysis" / "convergence.py", folder], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "r: no run with at least one round" in done.stderr


@pytest.fixture
def study():
    """Two texts over three sizes, two rounds each; part text costs items / 100 and full text twice that."""
    rows = [
        {"cell": cell, "ratings.items": items, "protocol.part_text_sparsity": s, "round": number,
         "protocol_s": items / 100 * (2 - s) + (number - 0.5) / 1000, "upload_bytes_total": items * 10}
        for cell, (items, s) in enumerate(itertools.product([40, 80, 800], [1.0, 0.0]))
        for number in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


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
        ({"column": "happiness"}, "the study: its rounds have no column happiness"),
    ],
)
def test_what_the_study_lacks_is_named(choice, message, study):
    with pytest.raises(FedMFError, match=message):
        cost(study, **choice)


def test_a_folder_that_is_no_study_is_named(tmp_path):
    with pytest.raises(FedMFError, match="is not a study with at least one complete cell"):
        read_study(tmp_path)


def test_the_resolved_scenario_is_plain_yaml(make_run):
    assert (
        yaml.safe_load((make_run("r", [(4, 2)]) / "scenario.yaml").read_text())["protocol"]["scheme"]
        == "packed"
    )


PARTS = [
    "slowest_download_s",
    "slowest_decrypt_s",
    "slowest_update_s",
    "slowest_encrypt_s",
    "slowest_upload_s",
]


@pytest.fixture
def mixed():
    """A study of two sizes, each measured under encryption and charged in a calibrated run."""
    rows = []
    for cell, (items, basis) in enumerate(itertools.product([40, 400], ["measured", "charged"])):
        parts = [items / 1000 * (part + 1) for part in range(5)]
        rows.append(
            {"cell": cell, "ratings.select.items": items, "protocol.scheme": "packed",
             "protocol.charge": None, "protocol.key_bits": 3072, "round": 0, "basis": basis}
            | dict(zip(PARTS, parts, strict=True))
            | {"server_cpu_s": 0.5, "protocol_s": sum(parts) + 0.5, "users": 10, "user_actors": 2,
               "upload_bytes_total": items * 10**6, "download_bytes_total": 2e6 * items, "wall_s": 3.0}
        )  # fmt: skip
        if basis == "charged":
            rows[-1] |= {"protocol.scheme": "plain", "protocol.charge": "packed"}
    return pd.DataFrame(rows)


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
    assert [axis.get_title(loc="left") for axis in axes] == ["MB uploaded a user", "MB downloaded a user"]
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


def test_a_half_written_run_is_left_out_with_a_notice(make_run, capsys):
    whole, half = make_run("whole", [(4, 2)]), make_run("half", [(4, 2)])
    (half / "summary.json").unlink()
    assert [run.label for run in read_runs([half, whole])] == ["whole (packed, 3072 bits)"]
    assert "half: left out, its run has not ended" in capsys.readouterr().err
    with pytest.raises(FedMFError, match="no run with at least one round"):
        read_runs([half])


def test_studies_of_other_keys_are_not_mixed(mixed, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    mixed.drop(columns="protocol.charge").to_csv(tmp_path / "b.csv", index=False)
    assert len(read_study(tmp_path / "a.csv", tmp_path / "a.csv")) == 8
    with pytest.raises(FedMFError, match=r"b.csv: swept other keys than"):
        read_study(tmp_path / "a.csv", tmp_path / "b.csv")


def test_the_table_has_a_row_a_cell_with_its_basis(mixed):
    lines = markdown(cost_table(mixed)).splitlines()
    assert lines[0].startswith("| setting | basis | protocol_s | download | decrypt |")
    assert lines[2] == "| packed, items 40 | measured | 1.1 | 0.04 | 0.08 | 0.12 | 0.16 | 0.2 | 0.5 | 4 | 8 |"
    assert [line.split(" | ")[1] for line in lines[2:]] == ["measured", "charged"] * 2


def test_names_come_with_tables_of_runs_and_studies(mixed, make_run, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    named = read_any([make_run("r", [(4, 2)]), tmp_path / "a.csv"])
    assert [(name, len(table)) for name, table in named] == [("r (packed, 3072 bits)", 1), (tmp_path.name, 4)]
