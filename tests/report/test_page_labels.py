"""The page says what is true of a run: its key, its measures, its scheme, also where that is unknown here."""

import json
import re

import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.report import page_tables
from fedmf_ray.report.page import report
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.testing.sample_folders import sample_run, sample_study

TREE = {
    "ratings": {"source": "synthetic", "users": 5, "items": 8, "sparsity": 0.3},
    "test": {"last": 1},
    "model": {"factors": 3, "learning_rate": 0.02},
    "protocol": {"scheme": "plain", "key_bits": 3072},
    "stop": {"rounds": 2},
    "cluster": {"backend": "serial"},
}


def above_the_scenario(folder):
    """The page without pictures, and without the copy of the scenario file, which has every key."""
    text = re.sub(r'src="[^"]*"', "", report(folder).read_text())
    return text[: text.index("<h2>Scenario</h2>")]


@pytest.mark.parametrize("algorithm", ["fedmf", "biases", "popularity", "regular_mf"])
def test_the_page_of_a_plain_or_central_run_names_no_key_size(algorithm, tmp_path):
    tree = TREE | {"name": "five", "model": TREE["model"] | {"algorithm": algorithm}}
    text = above_the_scenario(run(scenario_file.parse(tree, "x"), tmp_path, Silent()))
    assert "3072" not in text
    assert "packed" not in text
    name = "plain" if algorithm == "fedmf" else f"{algorithm}, central"
    assert f"<h1>five ({name})</h1>" in text
    assert ("<td>baseline</td>" in text) == (algorithm != "fedmf")


def test_parts_have_names_that_are_true_without_encryption(tmp_path):
    text = above_the_scenario(run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent()))
    assert "<td>read V (slowest_decrypt_s), mean round</td>" in text
    assert "<td>prepare upload (slowest_encrypt_s), mean round</td>" in text


def test_cells_without_a_key_have_no_key_size(tmp_path):
    text = report(sample_study(tmp_path / "study").path).read_text()
    table = text[text.index("<h2>Cells") :].split("</table>")[0]
    head = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<th[^>]*>(.*?)</th>", table)]
    rows = [dict(zip(head, re.findall(r"<td[^>]*>([^<]*)</td>", row), strict=True))
            for row in table.split("<tr>")[2:]]  # fmt: skip
    found = {(row["algorithm"], row["scheme"], row["charge"], row["key_bits"]) for row in rows}
    assert ("fedmf", "plain", "", "") in found
    assert ("fedmf", "plain", "packed", "3072") in found
    assert ("fedmf", "packed", "", "2048") in found
    assert ("biases", "", "", "") in found
    assert {row["novelty"] for row in rows} == {"0.25"}


def test_a_measure_of_a_plug_in_is_shown_like_the_others(tmp_path):
    folder = sample_run(tmp_path / "run").path
    text = report(folder).read_text()
    assert "<td>hit_rate, lists of 5</td><td>0.5000</td>" in text
    assert "<td>novelty, lists of 5</td><td>0.2500</td>" in text
    summary = json.loads((folder / "summary.json").read_text())
    summary["ranking"] = {"coverage": None, "found": 3}  # neither a length of lists nor a number
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "<td>found</td><td>3</td>" in report(folder).read_text()


def test_a_measure_of_a_plug_in_has_its_mean_over_folds(tmp_path):
    folder = sample_study(tmp_path / "study", ["measured"]).path
    for name in ("study.csv", "cells.csv"):
        table = pd.read_csv(folder / name)
        table.insert(1, "test.fold", table["cell"] % 2)
        table.to_csv(folder / name, index=False)
    assert "Lists over folds" in report(folder).read_text()
    assert "novelty_<wbr>sd" in report(folder).read_text()


def test_a_scheme_that_is_not_known_here_is_named(tmp_path):
    folder = sample_run(tmp_path / "run").path
    text = (folder / "scenario.yaml").read_text().replace("scheme: packed", "scheme: of-a-plug-in")
    (folder / "scenario.yaml").write_text(text)
    assert "<h1>sample (of-a-plug-in)</h1>" in report(folder).read_text()


@pytest.mark.parametrize(
    ("column", "heading"),
    [
        ("user anna.k rated highest", "user anna.k rated highest"),
        ("protocol.part_text_sparsity", "part_text_sparsity"),
        ("upload_bytes_total", "upload MB"),
        ("open_bytes", "open MB"),
    ],
)
def test_headings_name_units_and_leave_names_of_people_whole(column, heading):
    assert page_tables._name(column) == heading
