"""What somebody gets who installs: the wheel in an empty environment, away from the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """The source distribution, and a wheel that is made from it and from nothing else."""
    folder = tmp_path_factory.mktemp("dist")
    called(sys.executable, "-m", "build", "--outdir", folder, root)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The bin folder of an environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("empty")
    called(sys.executable, "-m", "venv", folder)
    called(folder / "bin" / "python", "-m", "pip", "install", "--quiet", built[1])
    return folder / "bin"


def called(*words, **options):
    """The output of a command that must succeed; nothing of the checkout is on its path."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FEDMF_REVISION")}
    result = subprocess.run(
        list(map(str, words)), env=env, capture_output=True, text=True, timeout=900, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_what_the_distributions_hold(root, built):
    scenarios = {path.name for path in (root / "scenarios").glob("*.yaml")}
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    assert {name.rpartition("/")[2] for name in names if name.startswith("fedmf_ray/scenarios/")} == scenarios
    assert {"fedmf_ray/py.typed", "fedmf_ray/report/report.html.j2"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "scenarios/"))]
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"setup.py", "fedmf_ray/schemes/paillier/native/key.h", "scenarios/quickstart.yaml"} <= names


def test_the_quickstart_runs_from_another_folder(installed, tmp_path):
    command = (installed / "fedmf-ray", "run", "quickstart", "stop.rounds=2")
    folder = called(*command, cwd=tmp_path).strip().splitlines()[-1]
    assert folder.startswith(str(tmp_path / "results" / "quickstart"))
    assert (tmp_path / folder / "summary.json").read_text().count('"complete"') == 1
    paths = called(installed / "fedmf-ray", "scenarios", "quickstart", cwd=tmp_path)
    assert str(installed.parent) in paths


def test_python_runs_it_on_own_ratings(installed, tmp_path):
    program = (
        "import fedmf_ray, pandas as pd\n"
        "rated = {'user': list('aabbcc'), 'item': list('xyxzyz'), 'rating': [5, 3, 4, 2, 1, 5]}\n"
        "frame = pd.DataFrame(rated)\n"
        "simple = {'protocol': {'scheme': 'plain'}, 'cluster': {'backend': 'serial'}}\n"
        "run = fedmf_ray.run(simple, ratings=frame)\n"
        "print(fedmf_ray.__file__, len(run.recommend('a')))\n"
    )
    file, count = called(installed / "python", "-c", program, cwd=tmp_path).split()
    assert file.startswith(str(installed.parent))
    assert count == "1"
