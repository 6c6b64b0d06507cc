"""Reading folders: what is whole, what is half-written, and a clear word about what is neither."""

import subprocess
import sys

import pytest
import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import COLUMNS, shares
from fedmf_ray.report.cost import cost
from fedmf_ray.report.runs import read_any, read_run, read_runs, read_study, swept_keys


def test_a_folder_that_is_no_run_is_named(tmp_path, make_run, root, script_env):
    with pytest.raises(FedMFError, match="is not a run folder"):
        read_run(tmp_path)
    (tmp_path / "file.yaml").touch()
    with pytest.raises(FedMFError, match="is not a run folder"):
        read_run(tmp_path / "file.yaml")
    folder = make_run("r", [(4, 2)])
    (folder / "rounds.csv").unlink()
    command = [sys.executable, root / "analysis" / "convergence.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, env=script_env)
    assert done.returncode == 1
    assert "r: no run with at least one round" in done.stderr


def test_a_folder_that_is_no_study_is_named(tmp_path):
    with pytest.raises(FedMFError, match="is not a study with at least one complete cell"):
        read_study(tmp_path)


def test_the_resolved_scenario_is_plain_yaml(make_run):
    assert (
        yaml.safe_load((make_run("r", [(4, 2)]) / "scenario.yaml").read_text())["protocol"]["scheme"]
        == "packed"
    )


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


def test_names_come_with_tables_of_runs_and_studies(mixed, make_run, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    named = read_any([make_run("r", [(4, 2)]), tmp_path / "a.csv"])
    assert [(name, len(table)) for name, table in named] == [("r (packed, 3072 bits)", 1), ("a", 4)]


def test_a_half_written_run_among_runs_and_studies_is_left_out(mixed, make_run, tmp_path, capsys):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    half = make_run("half", [(4, 2)])
    (half / "rounds.csv").unlink()
    assert [name for name, _ in read_any([half, tmp_path / "a.csv"])] == ["a"]
    assert "half: left out" in capsys.readouterr().err
    with pytest.raises(FedMFError, match="half: no run with at least one round"):
        read_any([half])


def test_equal_names_are_told_apart(mixed, make_run, tmp_path):
    one, two = make_run("one", [(4, 2)]), make_run("two", [(4, 2)])
    for folder in (one, two):
        text = (folder / "scenario.yaml").read_text()
        (folder / "scenario.yaml").write_text(text.replace(f"name: {folder.name}", "name: same"))
    names = [name for name, _ in read_any([one, two, two])]
    assert names == ["same (packed, 3072 bits) one", "same (packed, 3072 bits) two (1)",
                     "same (packed, 3072 bits) two (2)"]  # fmt: skip


def test_the_folder_that_lacks_a_column_is_named(mixed, make_run, tmp_path):
    folder = make_run("old", [(4, 2)])
    with pytest.raises(FedMFError, match=r"old: its rounds have no column slowest_download_s"):
        read_any([folder], COLUMNS)
    mixed.drop(columns="protocol_s").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(FedMFError, match=r"a.csv: its rounds have no column protocol_s"):
        read_study(tmp_path / "a.csv", columns=["protocol_s"])
    with pytest.raises(FedMFError, match=r"a.csv: its rounds have no column protocol_s"):
        cost(read_study(tmp_path / "a.csv"))


def test_a_script_says_so_in_one_line(make_run, root, script_env):
    command = [sys.executable, root / "analysis" / "breakdown.py", make_run("old", [(4, 2)])]
    done = subprocess.run(command, capture_output=True, text=True, env=script_env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "old: its rounds have no column slowest_download_s" in done.stderr


def test_only_the_columns_asked_for_are_read(mixed, tmp_path):
    mixed.to_csv(tmp_path / "study.csv", index=False)
    table = read_study(tmp_path, columns=["protocol_s"])
    assert list(table) == ["cell", *swept_keys(mixed), "round", "basis", "protocol_s", "users"]


def test_studies_with_the_same_cells_are_told_apart_and_others_just_joined(mixed, tmp_path):
    mixed.to_csv(tmp_path / "a.csv", index=False)
    mixed.assign(basis="estimated").to_csv(tmp_path / "b.csv", index=False)
    joined = read_study(tmp_path / "a.csv", tmp_path / "b.csv")
    assert "study" not in joined
    assert joined["cell"].tolist() == list(range(8))
    twice = read_study(tmp_path / "a.csv", tmp_path / "a.csv")
    assert twice["study"].tolist() == ["a a.csv (1)"] * 4 + ["a a.csv (2)"] * 4
    assert len(shares([("x", twice)])) == 8


@pytest.mark.parametrize(
    ("file", "text"),
    [("summary.json", "{"), ("rounds.csv", ""), ("scenario.yaml", "a: [")],
)
def test_a_broken_file_is_one_line_that_names_the_folder(file, text, make_run):
    folder = make_run("broken", [(4, 2)])
    (folder / file).write_text(text)
    with pytest.raises(FedMFError, match="broken: cannot be read") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
