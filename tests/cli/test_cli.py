"""The commands in processes of their own: what they print, and their exit codes."""

import dataclasses
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pandas as pd
import pytest

from fedmf_ray.cli.doctor import Check, examine
from fedmf_ray.cli.main import cli
from fedmf_ray.schemes.paillier import extensions

ROOT = Path(__file__).parents[2]
FAST = [
    "ratings.users=4",
    "ratings.items=8",
    "protocol.key_bits=1024",
    "stop.rounds=2",
    "cluster.backend=serial",
]


def environment():
    """The code of this checkout is used, whatever is installed."""
    return os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)}


def fedmf(*words, cwd=None):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fedmf_ray", *map(str, words)],
        capture_output=True, text=True, cwd=cwd, timeout=120, env=environment(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def quickstart(root):
    return root / "scenarios" / "quickstart.yaml"


def test_run_prints_the_folder_and_draws_the_picture(quickstart, tmp_path):
    done = fedmf("run", quickstart, *FAST, "--results", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.is_absolute()
    assert folder.is_relative_to(tmp_path / "out" / "quickstart")
    assert (folder / "plots" / "convergence.png").stat().st_size > 10_000
    assert len(pd.read_csv(folder / "rounds.csv")) == 2
    for words in (
        "warning: 1024-bit keys",
        "4 users",
        "quality     test RMSE",
        "complete after 2 rounds",
        "protection  packed, 1024 bits: the server sees which rows",
        "per round as deployed: slowest user + server (protocol_s, measured)",
        f"picture     out/quickstart/{folder.name}/plots/convergence.png",
        f"next        fedmf-ray recommend out/quickstart/{folder.name} --user 1",
    ):
        assert words in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("round")]
    assert [line.partition(":")[0] for line in lines] == ["round 0 (1 of 2)", "round 1 (2 of 2)"]
    assert all("test RMSE" in line and "train" in line and line.endswith(" left") for line in lines)
    assert "\x1b" not in done.stderr  # a log is no place for bars and colours


def test_a_folder_analysis_beside_the_scenario_is_not_imported(quickstart, tmp_path):
    """``python -m`` puts the current folder first on the path, and users have folders named `analysis`.

    fedmf_ray once imported a package of that name, and such runs ended with an error after training.
    """
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("raise ImportError('the analysis of a user')")
    done = fedmf("run", quickstart, *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert (folder / "plots" / "convergence.png").is_file()
    done = fedmf("report", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "none.yaml"], "error: none.yaml: no such scenario file"),
        (["rn"], "error: no such command 'rn': did you mean run?"),
        (["run"], "error: missing argument 'SCENARIO': see "),
        (["recommend", "x"], "error: missing option '--user': see "),
        (
            ["recommend", "x", "--user", "1", "-n", "five"],
            "error: invalid value for '-n': 'five' is not a whole number: ",
        ),
        (["run", "quickstart", "--frobnicate"], "error: no such option '--frobnicate': see "),
        (["run", "{quickstart}", "protocol.key_bits=512"], "protocol.key_bits: 512 is not a key size"),
        (["run", "{quickstart}", "rounds"], "an override reads key.path=value"),
        (["run", "{quickstart}", "--user", "Z9"], "has no user Z9: "),
        (["run", "{quickstart}", "--results", "{file}/x"], "results cannot be written here"),
        (["data", "fetch", "ml-0"], "no such data set"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, quickstart, tmp_path):
    (tmp_path / "file").write_text("")
    words = [word.format(quickstart=quickstart, file=tmp_path / "file") for word in words]
    done = fedmf(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_debug_shows_the_traceback(tmp_path):
    done = fedmf("--debug", "run", "none.yaml", cwd=tmp_path)
    assert "Traceback" in done.stderr


def test_divergence_is_exit_code_1(quickstart, tmp_path):
    done = fedmf("run", quickstart, *FAST, "model.rule=batch", "model.learning_rate=5", cwd=tmp_path)
    assert done.returncode == 1
    assert "lower model.learning_rate" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_exit_code_130_and_leaves_a_summary(quickstart, tmp_path):
    words = ["run", quickstart, *FAST, "stop.rounds=100000", "--results", tmp_path]
    process = subprocess.Popen(
        [sys.executable, "-m", "fedmf_ray", *map(str, words)],
        stderr=subprocess.PIPE, env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("quickstart/*/rounds.csv")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, screen = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in screen
    assert b"Traceback" not in screen
    (summary,) = tmp_path.glob("quickstart/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "interrupted"


def test_a_study_counts_its_complete_cells_and_names_the_others(quickstart, tmp_path):
    (tmp_path / "two.yaml").write_text(quickstart.read_text() + "sweep: {model.factors: [2, 3]}\n")
    done = fedmf("sweep", "two.yaml", *FAST, "protocol.scheme=plain", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells are complete" in done.stderr
    diverging = ["protocol.scheme=plain", "model.rule=batch", "model.learning_rate=5"]
    done = fedmf("sweep", "two.yaml", *FAST, *diverging, cwd=tmp_path)
    assert done.returncode == 1
    assert "0 of 2 cells are complete" in done.stderr
    assert done.stderr.count("\ndiverged: ") == 2


def test_every_command_has_help_and_starts_without_slow_imports():
    slow = "{'numpy', 'pandas', 'matplotlib', 'ray', 'pydantic'}"
    words = f"import sys, fedmf_ray.cli.main; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=environment())
    assert done.stdout == "[]\n", done.stderr
    assert set(cli.commands) == {
        *("run", "resume", "recommend", "sweep", "estimate", "audit", "report"),
        *("data", "clean", "doctor", "submit", "follow", "export", "compare", "new", "scenarios", "keys"),
    }
    for command in cli.commands.values():
        assert command.help
        assert all(one.help for one in command.params if isinstance(one, click.Option)), command.name


def test_data_list_names_the_sets_and_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(tmp_path))
    done = fedmf("data", "list")
    assert f"cache: {tmp_path}" in done.stdout
    assert "not here (fedmf-ray data fetch ml-25m)" in done.stdout


def test_doctor_accepts_this_machine_and_uses_keys_and_ray(local_ray):
    checks = list(examine())
    assert all(check.ok for check in checks), checks
    assert {"gmpy2", "cores", "memory", "keys", "Ray"} <= {check.subject for check in checks}


def test_doctor_names_the_remedy_of_a_failed_check(monkeypatch, local_ray):
    monkeypatch.setattr("fedmf_ray.cli.doctor._try_keys", lambda: 1 / 0)
    monkeypatch.setattr("fedmf_ray.cli.doctor._LIBRARIES", ("no-such-library",))
    failed = {check.subject: check for check in examine() if not check.ok}
    assert failed["keys"] == Check(
        "keys", False, "ZeroDivisionError: division by zero", "reinstall phe and gmpy2"
    )
    assert failed["no-such-library"].remedy == "pip install no-such-library"


def none_is_built(monkeypatch):
    unbuilt = tuple(dataclasses.replace(each, functions=None) for each in extensions.EXTENSIONS)
    monkeypatch.setattr(extensions, "EXTENSIONS", unbuilt)


def test_doctor_says_what_to_do_where_the_forced_kernel_cannot_run(monkeypatch):
    """Nothing is to be reinstalled: a variable names a kernel that this machine has not."""
    none_is_built(monkeypatch)
    monkeypatch.setenv("FEDMF_KERNEL", "native")
    monkeypatch.setattr("fedmf_ray.cli.doctor._try_ray", lambda: "not tried")
    checks = {check.subject: check for check in examine()}
    for subject in ("kernel", "keys"):
        assert not checks[subject].ok
        assert "unset FEDMF_KERNEL" in checks[subject].finding
        assert "reinstall" not in checks[subject].finding + checks[subject].remedy


def test_the_benchmark_of_kernels_says_why_it_measures_nothing(root, monkeypatch, capsys):
    module = runpy.run_path(str(root / "benchmarks" / "kernels.py"))
    none_is_built(monkeypatch)
    with pytest.raises(SystemExit) as caught:
        module["main"].main([], standalone_mode=False)
    assert caught.value.code == 2
    assert "error: this machine runs no kernel beside gmpy2" in capsys.readouterr().err


def test_python_without_docstrings_and_assertions(root, quickstart, tmp_path):
    """PYTHONOPTIMIZE=2: every command and script starts, and a run ends."""
    environment = os.environ | {"PYTHONOPTIMIZE": "2", "PYTHONPATH": str(root)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of forty processes would compile everything
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path / "compiled")
    scripts = [*sorted((root / "benchmarks").glob("*.py")), *sorted((root / "analysis").glob("[a-z]*.py"))]
    for words in (
        ["-m", "fedmf_ray", "--help"],
        ["-m", "fedmf_ray", "run", str(quickstart), *FAST, "--results", str(tmp_path)],
        *([str(script), "--help"] for script in scripts if "__main__" in script.read_text()),
    ):
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
        # What benchmarks compare with has environments of its own.
        missing = any(f"No module named '{name}'" in done.stderr for name in ("implicit", "surprise"))
        assert done.returncode == 0 or missing, (words, done.stderr)
