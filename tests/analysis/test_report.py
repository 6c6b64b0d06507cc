"""The report: one page that needs nothing else, holds every cell, and trusts no text."""

import html.parser
import json
import re

import pytest
import yaml
from click.testing import CliRunner

from analysis.report import report
from fedmf_ray import scenario_file
from fedmf_ray.cli import cli
from fedmf_ray.errors import FedMFError
from fedmf_ray.simulation.progress import Silent
from fedmf_ray.simulation.run import run
from fedmf_ray.study import cells
from fedmf_ray.study.sweep import run_study

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
        if tag not in ("meta", "link", "br", "path", "use", "rect", "image"):
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
    assert all(load.startswith(("#", "data:")) for load in page.loads)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)


class Quiet(Silent):
    def cell(self, done, total, name): ...


def test_a_runs_page_stands_alone_and_shows_its_rounds(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    text = report(folder).read_text()
    check_alone(text)
    assert text.count("<svg") == 2  # losses, and where the time goes
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
    assert "4 of 4 cells are sound" in text
    assert text.count('<td class="charged">charged</td>') == 2
    assert text.count("<svg") >= 3
    assert "Protocol seconds over ratings.users." in text


def test_an_audit_is_part_of_the_page(tmp_path):
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    finding = {"keys": {}, "adversary": "server", "attack": "grid", "round": 0, "rounds": 2, "ratings": 10,
               "recovered": 0.5, "users": 3, "rated_precision": None, "rated_recall": 1.0,
               "cpu_s": 0.1}  # fmt: skip
    (folder / "audit.json").write_text(json.dumps([finding]))
    text = report(folder).read_text()
    check_alone(text)
    assert text.count("<svg") == 3
    assert "<td>grid</td>" in text


def test_what_is_no_run_or_has_no_end_is_named(tmp_path):
    with pytest.raises(FedMFError, match="is not a run folder"):
        report(tmp_path)
    folder = run(scenario_file.parse({"name": "five"} | TREE, "x"), tmp_path, Silent())
    (folder / "summary.json").unlink()
    with pytest.raises(FedMFError, match="has no end yet"):
        report(folder)
