"""The report: one page that needs nothing else, holds every cell, and trusts no text."""

import base64
import html.parser
import json
import re
import shutil
import sys
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from fedmf_ray.cli.main import cli, main
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.report.page import report
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study import cells
from fedmf_ray.study.sweep import run_study
from tests.report.captions import known_captions

TREE = {
    "description": "five <b>users</b>",
    "ratings": {"source": "synthetic", "users": 5, "items": 8, "sparsity": 0.3},
    "test": {"last": 1},
    "model": {"factors": 3, "learning_rate": 0.02},
    "protocol": {"scheme": "plain"},
    "stop": {"rounds": 3},
    "cluster": {"backend": "serial"},
}


class Page(html.parser.HTMLParser):
    """What a browser would load, and whether tags nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.tags = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in ("meta", "link", "img", "wbr"):
            self.open.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()


def check_alone(text):
    page = Page(text)
    assert page.open == []
    assert not re.search(r"""(src|href)=["']?https?:""", text)
    assert all(load.startswith(("#", "data:")) for load in page.loads)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)


def captions(text):
    """Of the pictures, each of which must be a well-formed SVG that asks for no font and no other file."""
    for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text):
        picture = base64.b64decode(data).decode()
        ElementTree.fromstring(picture)
        assert "<text" not in picture
        assert not re.search(r'href="(?!#)', picture)
    assert text.count("<img") == text.count("data:image/svg+xml;base64,")
    return known_captions(re.findall(r"<figcaption>([^<]*)</figcaption>", text))


class Quiet(Silent):
    def cell(self, done, total, name): ...


def test_a_runs_page_stands_alone_and_shows_its_rounds(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    text = report(folder).read_text()
    check_alone(text)
    assert captions(text) == [
        "Losses after each round.",
        "Where the time goes, mean round.",
        "Bytes of a user in a round, mean.",
    ]
    assert "complete after 3 rounds" in text
    assert "five &lt;b&gt;users&lt;/b&gt;" in text
    for word in ("measured", "charged", "estimated", "wall_s", "gmpy2", "learning_rate: 0.02"):
        assert word in text


@pytest.fixture
def study_folder(tmp_path):
    path = tmp_path / "study-x.yaml"
    sweep = {"ratings.users": [5, 6], "zip": {"protocol.charge": [None, "packed"], "model.factors": [3, 4]}}
    path.write_text(yaml.safe_dump(TREE | {"sweep": sweep}, sort_keys=False))
    return run_study(cells.load(path, ["protocol.key_bits=1024"]), tmp_path, Quiet()).path


def test_a_studys_page_has_every_cell_its_basis_and_its_pictures(study_folder, tmp_path):
    table = (study_folder / "cells.csv").read_text().splitlines()
    broken = [line + ('"<script>alert(1)</script>"' if n == 4 else "") for n, line in enumerate(table)]
    (study_folder / "cells.csv").write_text("\n".join(broken) + "\n")
    out = tmp_path / "sub" / "page.html"
    done = CliRunner().invoke(cli, ["report", str(study_folder), "-o", str(out)], catch_exceptions=False)
    assert done.stdout.strip() == str(out)
    text = out.read_text()
    check_alone(text)
    assert "&lt;script&gt;alert(1)" in text
    assert "4 of 4 cells are complete" in text
    assert text.count('<td class="charged">charged</td>') == 2
    assert captions(text) == [
        "Protocol seconds over ratings.users, mean round.",
        "Bytes of a user in a round, mean.",
        "Scaling over workers, mean round.",
        "Where the time goes, mean round.",
    ]


def test_an_audit_is_part_of_the_page(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    finding = {"keys": {}, "adversary": "server", "attack": "grid", "round": 0, "rounds": 2, "ratings": 10,
               "recovered": 0.5, "users": 3, "rated_precision": None, "rated_recall": 1.0,
               "cpu_s": 0.1}  # fmt: skip
    (folder / "audit.json").write_text(json.dumps([finding]))
    text = report(folder).read_text()
    check_alone(text)
    assert captions(text)[-1] == "What adversaries recover."
    assert "<td>grid</td>" in text


def test_what_is_no_run_or_has_no_end_is_named(tmp_path):
    with pytest.raises(FedMFError, match="is not a run folder"):
        report(tmp_path)
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    (folder / "summary.json").unlink()
    with pytest.raises(FedMFError, match="has not ended yet"):
        report(folder)


def test_every_cell_has_a_row_with_its_end_and_reason(study_folder):
    cells = pd.read_csv(study_folder / "cells.csv", dtype=object)
    cells.loc[2, ["status", "reason"]] = ["failed", "memory: <i>too little</i>"]
    cells.loc[3, ["status"]] = ["missing"]
    cells.to_csv(study_folder / "cells.csv", index=False)
    rounds = pd.read_csv(study_folder / "study.csv")
    rounds[rounds["cell"] < 2].to_csv(study_folder / "study.csv", index=False)
    text = report(study_folder).read_text()
    table = text[text.index("Cells (errors and lists") :].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in table.split("<tr>")[2:]]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert rows[2][-1] == "memory: &lt;i&gt;too little&lt;/i&gt;"
    assert "2 of 4 cells are complete" in text
    mean = rounds[rounds["cell"] == 0]["protocol_s"].mean()
    assert f"{mean:.4g}" in rows[0]


def test_a_study_without_a_complete_cell_has_a_page_of_failures(study_folder):
    (study_folder / "study.csv").unlink()
    cells = pd.read_csv(study_folder / "cells.csv", dtype=object).assign(status="failed", reason="no memory")
    cells.to_csv(study_folder / "cells.csv", index=False)
    shutil.rmtree(study_folder / "cells")
    text = report(study_folder).read_text()
    check_alone(text)
    assert captions(text) == []
    assert text.count("no memory") == 4


def test_the_same_folder_gives_the_same_page(study_folder):
    assert report(study_folder).read_text() == report(study_folder).read_text()


def test_a_run_of_an_older_version_has_a_page_with_what_it_holds(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    rounds = pd.read_csv(folder / "rounds.csv")
    old = rounds[[column for column in rounds if not column.startswith("slowest") and column != "basis"]]
    old.to_csv(folder / "rounds.csv", index=False)
    text = report(folder).read_text()
    assert captions(text) == ["Losses after each round.", "Bytes of a user in a round, mean."]
    old[["round", "wall_s"]].to_csv(folder / "rounds.csv", index=False)
    assert captions(report(folder).read_text()) == []


def test_a_central_baseline_has_a_page(tmp_path):
    tree = TREE | {"name": "central", "model": TREE["model"] | {"algorithm": "regular_mf"}}
    text = report(run(scenario_file.parse(tree, "x"), tmp_path, Silent())).read_text()
    assert captions(text) == ["Losses after each round."]
    assert "cpu_s, mean round" in text


def test_a_long_run_shows_some_rounds_and_always_the_last(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    rounds = pd.read_csv(folder / "rounds.csv")
    pd.concat([rounds.iloc[:1].assign(round=n) for n in range(98)]).to_csv(folder / "rounds.csv", index=False)
    text = report(folder).read_text()
    assert "Rounds (one in 3 of 98, and the last)" in text
    assert re.findall(r"<tr><td>(\d+)</td>", text)[-2:] == ["96", "97"]


def test_environments_of_cells_are_one_table_that_says_where_they_differ(study_folder):
    first = study_folder / "cells" / "0000" / "environment.json"
    first.write_text(json.dumps(json.loads(first.read_text()) | {"cpu": "another"}))
    text = report(study_folder).read_text()
    assert re.search(r"<td>cpu</td><td>another; [^<]+</td>", text)
    assert re.search(r"<td>users</td><td>5; 6</td>", text)


@pytest.mark.parametrize(
    ("gone", "message"),
    [("cells.csv", "has not ended yet (no cells.csv)"), ("study.yaml", "is not a run folder")],
)
def test_bad_folders_are_one_line_and_exit_code_2(gone, message, study_folder, monkeypatch, capsys):
    (study_folder / gone).unlink()
    monkeypatch.setattr(sys, "argv", ["fedmf-ray", "report", str(study_folder)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error
