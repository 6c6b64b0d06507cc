"""Tables as files: CSV with every digit, Markdown, and LaTeX whose special letters are escaped."""

import re

import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.table import written

TABLE = pd.DataFrame({"setting": ["a_b & 5 % {x} #1 $ ~^ \\", "rule | ridge"], "MB up": [1 / 3, 1234.5]})


def test_csv_has_every_digit(tmp_path):
    pd.testing.assert_frame_equal(pd.read_csv(written(TABLE, tmp_path / "deep" / "t.csv")), TABLE)


def test_markdown_has_as_many_columns_in_each_row(tmp_path):
    lines = written(TABLE, tmp_path / "t.md").read_text().splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert "0.333" in lines[2]


def test_latex_is_a_tabular_without_a_bare_special_letter(tmp_path):
    text = written(TABLE, tmp_path / "t.tex").read_text()
    assert text.startswith("\\begin{tabular}{lr}\n")
    assert text.endswith("\\end{tabular}\n")
    rows = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {2 - 1}
    assert r"a\_b \& 5 \% \{x\} \#1 \$ \textasciitilde{}\textasciicircum{} \textbackslash{}" in rows[1]
    assert rows[2].endswith("& 1234")


def test_another_suffix_is_named(tmp_path):
    with pytest.raises(FedMFError, match=r"must end in \.csv, \.md or \.tex"):
        written(TABLE, tmp_path / "t.xlsx")


def test_both_scripts_write_by_suffix(script, mixed, tmp_path):
    folded = mixed.assign(test_rmse=0.9, test_mae=0.7)
    folded.insert(1, "test.fold", [0, 1, 0, 1])
    folded.to_csv(tmp_path / "study.csv", index=False)
    for name in ("table", "folds"):
        out = tmp_path / f"{name}.tex"
        done = CliRunner().invoke(script(name), [str(tmp_path), "-o", str(out)], catch_exceptions=False)
        assert done.output.strip() == str(out)
        assert out.read_text().count(r"\hline") == 3
    assert r"$\pm$" in out.read_text()
