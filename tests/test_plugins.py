"""A scheme, a rule and a measure of another distribution work everywhere, without a line changed in
fedmf_ray."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.errors import FedMFError

SCENARIO = {
    "name": "thirdparty",
    "ratings": {"source": "synthetic", "users": 8, "items": 20, "sparsity": 0.5},
    "test": {"last": 2},
    "metrics": {"top_k": 3, "relevant_from": 3, "measures": ["mrr"]},
    "model": {"factors": 6, "rule": "huber", "learning_rate": 0.02, "huber": {"delta": 1.5}},
    "protocol": {"scheme": "scaled", "scaled": {"factor": 5}},
    "stop": {"rounds": 3},
    "cluster": {"backend": "serial", "users_per_actor": 3},
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, root):
    """The folder into which pip has installed the distribution."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "fedmf-thirdparty"
    shutil.copytree(root / "tests" / "plugins" / "fedmf-thirdparty", source)  # pip builds where it finds it
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", folder]
    subprocess.run([*pip, *options, source], check=True)
    return folder


@pytest.fixture
def command(installed, tmp_path, monkeypatch):
    """Runs a command of fedmf-ray on the scenario where the distribution is installed."""
    monkeypatch.syspath_prepend(str(installed))

    def run(name, *words, tree=SCENARIO, path=None):
        file = tmp_path / "thirdparty.yaml"
        file.write_text(yaml.safe_dump(tree))
        return CliRunner().invoke(
            cli, [name, *map(str, path or [file]), *map(str, words)], catch_exceptions=False
        )

    return run


def folder_of(done):
    assert done.exit_code == 0, done.output
    return Path(done.stdout.strip().splitlines()[-1])


def losses(folder):
    return pd.read_csv(folder / "rounds.csv")[["train_mse", "test_rmse"]].to_numpy().tolist()


def test_run_resume_and_report(command, tmp_path):
    folder = folder_of(command("run", "--results", tmp_path))
    assert losses(folder)[-1][0] < losses(folder)[0][0]
    summary = json.loads((folder / "summary.json").read_text())
    assert 0 < summary["ranking"]["mrr"] <= 1
    assert yaml.safe_load((folder / "scenario.yaml").read_text())["protocol"]["scaled"] == {"factor": 5}
    went_on = folder_of(command("resume", "stop.rounds=5", path=[folder]))
    tree = SCENARIO | {"stop": {"rounds": 5}}
    assert losses(went_on) == losses(folder_of(command("run", "--results", tmp_path / "whole", tree=tree)))
    page = folder_of(command("report", path=[folder])).read_text()
    assert "thirdparty (scaled)" in page
    assert "mrr" in page


def test_the_scheme_changes_no_bit(command, tmp_path):
    plain = SCENARIO | {"protocol": {"scheme": "plain"}}
    packed = SCENARIO | {"protocol": {"scheme": "packed", "key_bits": 1024}}
    found = [
        losses(folder_of(command("run", "--results", tmp_path, tree=t))) for t in (SCENARIO, plain, packed)
    ]
    assert found[0] == found[1] == found[2]


def test_estimate_and_charge(command, tmp_path):
    shown = command("estimate").stdout
    assert "scaled: " in shown
    assert "bytes per row" in shown
    charged = SCENARIO | {"protocol": {"scheme": "plain", "charge": "scaled", "scaled": {"factor": 7}}}
    folder = folder_of(command("run", "--results", tmp_path, tree=charged))
    rows = pd.read_csv(folder / "rounds.csv")
    assert set(rows["basis"]) == {"charged"}
    real = pd.read_csv(folder_of(command("run", "--results", tmp_path)) / "rounds.csv")
    assert rows["upload_bytes_total"].tolist() == real["upload_bytes_total"].tolist()


def test_sweep(command, tmp_path):
    swept = SCENARIO | {"sweep": {"protocol.scheme": ["scaled", "plain"], "model.rule": ["huber", "batch"]}}
    del swept["protocol"], swept["model"]
    swept |= {"model": {"factors": 6, "learning_rate": 0.02}}
    folder = folder_of(command("sweep", "--results", tmp_path, tree=swept))
    table = pd.read_csv(folder / "study.csv").dropna(subset=["mrr"])
    assert len(table) == 4
    by_rule = table.groupby("model.rule")
    assert (by_rule["mrr"].nunique() == 1).all()
    assert (by_rule["train_mse"].nunique() == 1).all()
    assert "scaled" in folder_of(command("report", path=[folder])).read_text()


def test_its_scheme_claims_nothing_and_an_audit_recovers_everything(command, tmp_path):
    observed = SCENARIO | {
        "observe": "server",
        "model": {"factors": 30, "rule": "batch", "learning_rate": 1e-3},
        "protocol": {"scheme": "scaled", "fraction_bits": 40},
    }
    done = command("audit", "--results", tmp_path, tree=observed)
    assert done.exit_code == 0
    assert "100.00 %" in done.stdout
    (found,) = tmp_path.glob("thirdparty/*/audit.json")
    best = max(json.loads(found.read_text()), key=lambda row: row["recovered"])
    assert (best["adversary"], best["recovered"], best["readable"]) == ("server", 1, True)


def test_a_rule_that_no_attack_knows_counts_as_given_away(command, tmp_path):
    done = command("audit", "--results", tmp_path, tree=SCENARIO | {"observe": "server"})
    assert done.exit_code == 0
    assert "none known on rule huber" in done.stdout
    assert "all: readable" in done.stdout
    assert "0.00 %" not in done.stdout


def test_on_ray_workers_find_it_too(installed, tmp_path, root):
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(SCENARIO | {"cluster": {"backend": "ray", "users_per_actor": 4}}))
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{installed}", "RAY_ADDRESS": "local"}
    words = [sys.executable, "-m", "fedmf_ray", "run", str(file), "--results", str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "complete after 3 rounds" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["protocol.scaled.factor=4"], "thirdparty.yaml: protocol.scaled.factor: 4 should be odd"),
        (["protocol.scaled.colour=red"], "protocol.scaled.colour: unknown key"),
        (["model.huber.delta=wide"], "model.huber.delta: 'wide' should be a valid number"),
        (["metrics.measures=[nonsense]"], "metrics.measures: .*should be one of mrr"),
    ],
)
def test_its_own_keys_are_checked(command, words, message):
    with pytest.raises(FedMFError, match=message):
        command("run", *words)
