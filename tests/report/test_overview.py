"""The picture that the README leads with: every figure in it is read from a file."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.overview import errors, recovered


@pytest.fixture
def bench(tmp_path):
    file = tmp_path / "bench.csv"
    rows = [("SVD", 0.88), ("SVD", 0.90), ("mine, 3 rounds", 0.85), ("mine, 3 rounds", 0.86)]
    pd.DataFrame(rows, columns=["model", "rmse"]).to_csv(file, index=False)
    return file


@pytest.fixture
def audited(tmp_path):
    """Two cells, and two attacks on the first of them."""
    found = [(1, "a", 0.02), (1, "b", 0.01), (2, "a", 0.0)]
    rows = [
        {
            "keys": {"protocol.min_raters": least, "model.biases": least == 1},
            "attack": attack,
            "recovered": share,
        }
        for least, attack, share in found
    ]
    (tmp_path / "audit.json").write_text(json.dumps(rows))
    return tmp_path


@pytest.fixture
def study(tmp_path):
    rows = [
        {"cell": 0, "model.rule": "ridge", "model.factors": 30, "round": number, "test_rmse": 0.9,
         "protocol_s": 2.0, "upload_bytes_total": 1e6, "download_bytes_total": 1e6, "users": 2,
         "basis": "charged"}
        for number in range(3)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "study.csv", index=False)
    return tmp_path


def test_errors_are_means_and_spreads_over_folds_the_best_first(bench):
    table = errors(bench)
    assert table.index.tolist() == ["mine, 3 rounds", "SVD"]
    assert table["mean"].tolist() == pytest.approx([0.855, 0.89])
    assert table["std"].tolist() == pytest.approx([0.01 / 2**0.5, 0.02 / 2**0.5])


def test_the_worst_attack_on_the_cells_that_are_asked_for(audited):
    assert recovered(str(audited), {}) == 0.02
    assert recovered(str(audited), {"protocol.min_raters": "2"}) == 0.0
    assert recovered(str(audited), {"model.biases": "false"}) == 0.0
    with pytest.raises(FedMFError, match="no finding"):
        recovered(str(audited), {"protocol.min_raters": "3"})
    with pytest.raises(FedMFError, match="has no key x"):
        recovered(str(audited), {"x": "3"})


def test_what_is_readable_and_known_to_no_attack_counts_as_given_away(audited):
    rows = json.loads((audited / "audit.json").read_text())
    for row, (share, readable) in zip(rows, [(0.02, True), (None, False), (None, True)], strict=True):
        row |= {"recovered": share, "readable": readable}
    (audited / "audit.json").write_text(json.dumps(rows))
    assert recovered(str(audited), {"protocol.min_raters": "1"}) == 0.02
    assert recovered(str(audited), {"protocol.min_raters": "2"}) == 1.0


def test_the_command_draws(bench, audited, study, tmp_path, script):
    main = script("overview")
    picture = tmp_path / "overview.png"
    words = ["--quality", str(bench), "--ours", "mine", "--study", str(study), "-o", str(picture)]
    done = CliRunner().invoke(main, [*words, "--audit", f"curious={audited}:protocol.min_raters=1"])
    assert done.exit_code == 0, done.output
    assert picture.stat().st_size > 10_000
    wrong = CliRunner().invoke(main, [*words, "--audit", "curious"])
    assert "reads NAME=FOLDER" in wrong.output
    wrong = CliRunner().invoke(main, [*words, "--audit", f"curious={audited}:protocol.min_raters"])
    assert "protocol.min_raters has no value" in wrong.output
    none = CliRunner().invoke(main, [*words, "--line", "rule batch", "--audit", f"curious={audited}"])
    assert "the study has rule ridge" in none.output
