"""Examples run as they stand; those of trackers in an environment made for them."""

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pandas as pd
import pytest


def run_example(root, name, python=sys.executable):
    files = {"MLFLOW_TRACKING_URI": "file:mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
    command, environment = (
        [python, root / "examples" / name],
        {**os.environ, "PYTHONPATH": str(root), **files},
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_a_file_to_a_list_with_titles(root):
    said = run_example(root, "own_data.py").splitlines()
    assert said[0].startswith("test RMSE 1.")
    titles = pd.read_csv(root / "examples" / "tea_titles.csv")["title"]
    assert len([line for line in said if any(title in line for title in titles)]) == 5
    text = (root / "examples" / "own_data.py").read_text().splitlines()
    assert len([line for line in text if line and not line.startswith('"""')]) <= 10


def test_the_mean_alone_is_worse(root):
    """The example teaches something: its error is below the spread of the ratings."""
    ratings = pd.read_csv(root / "examples" / "teas.csv")
    error = float(run_example(root, "own_data.py").split()[2])
    assert error < 0.6 * ratings["rating"].std()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "script", "written"),
    [
        ("mlflow-skinny", "track_mlflow.py", "mlruns/**/metrics/test_rmse"),
        ("tensorboardX", "track_tensorboard.py", "runs/fedmf/events*"),
    ],
)
def test_rounds_are_tracked(root, tmp_path, package, script, written):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = next((tmp_path / "venv").glob("lib/*/site-packages"))
    (packages / "ours.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", package], check=True, timeout=300)
    run_example(root, script, python)
    (file,) = Path.cwd().glob(written)
    assert file.stat().st_size > 100
