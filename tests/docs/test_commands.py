"""Every command in the documents runs here in a small form, or stands in a list with the reason why not."""

import re
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.packaged import folder
from tests.support.documents import block_with, commands, documents

NOT_HERE = {
    ("conda",): "needs conda",
    ("export",): "sets a variable of a shell",
    ("fedmf-ray", "data", "fetch"): "needs a network",
    ("fedmf-ray", "follow"): "needs a cluster (tests/jobs)",
    ("fedmf-ray", "submit"): "needs a cluster (tests/jobs)",
    ("pip",): "needs a network",
    ("ray",): "starts, uses or stops a cluster",
    ("source",): "is of a shell",
}
"""By how they begin. Each of `fedmf-ray` is parsed all the same."""

LONG = {
    "movielens-part": "needs ml-latest-small",
    "movielens-quality": "needs ml-latest-small",
    "audit-trust": "needs ml-latest-small",
    "trust-ladder": "needs ml-latest-small",
    "scale-100k": "takes minutes",
    "scale-1m": "takes half a minute",
    "scale-25m": "takes minutes",
    "study-items": "takes hours",
    "study-keys-small": "takes minutes",
}
"""Scenarios that are read with the command's overrides, and not run."""

SMALL = ("cluster.backend=serial", "protocol.scheme=plain", "ratings.users=8", "stop.rounds=2")
WATCHED = "observe=server"
"""Put before a command's own overrides, which win."""


def told(root):
    """All commands, with the document that tells them."""
    return [
        pytest.param(words, id=f"{path.stem}: {' '.join(words)[:80]}")
        for path in documents(root)
        for words in commands(path.read_text())
    ]


def pytest_generate_tests(metafunc):
    if "words" in metafunc.fixturenames:
        metafunc.parametrize("words", told(metafunc.config.rootpath))


@pytest.fixture(scope="module")
def place(root, tmp_path_factory):
    """A folder with what commands name: the files of the how-to on own data, a study, a run of each."""
    place = tmp_path_factory.mktemp("place")
    text = (root / "docs" / "how-to" / "own-data.md").read_text()
    (place / "books.yaml").write_text(block_with(text, "name: books") + "cluster: {backend: serial}\n")
    random = np.random.default_rng(1)
    pairs = [(f"reader-{a}", f"isbn-{b}") for a in range(12) for b in random.permutation(20)[:10]]
    ratings = pd.DataFrame(pairs, columns=["reader", "isbn"])
    ratings["points"] = random.integers(1, 11, len(ratings))
    ratings["when"] = np.arange(len(ratings))
    ratings.to_csv(place / "ratings.csv", index=False)
    pd.DataFrame([(f"isbn-{b}", f"Book {b}") for b in range(20)], columns=["isbn", "name"]).to_csv(
        place / "books.csv", index=False
    )
    (place / "titles.csv").write_bytes((place / "books.csv").read_bytes())
    (place / "ratings.yaml").write_bytes((place / "books.yaml").read_bytes())
    (place / "my-study.yaml").write_text(
        "ratings: {source: synthetic, users: 6, items: 9}\ntest: {last: 1}\n"
        "cluster: {backend: serial}\nprotocol: {scheme: plain}\nstop: {rounds: 1}\n"
        "sweep: {ratings.items: [9, 12]}\n"
    )
    return place


@pytest.fixture(scope="module")
def run_folder(place):
    return called(place, "run", "quickstart", *SMALL).stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def study_folder(place):
    return called(place, "sweep", str(place / "my-study.yaml")).stdout.strip().splitlines()[-1]


def called(place, *words):
    """A command of ours, in this process, with results in a folder of the test's own."""
    if words[0] in ("run", "sweep", "audit"):
        words = (*words, "--results", str(place / "results"))
    if words[0] == "new":
        words = (*words, "--force")  # two pages write the same
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result
    return result


def test_command(root, place, run_folder, study_folder, words):
    if words[0] == "fedmf-ray":
        parsed(words[1:])
    if any(words[: len(start)] == start for start in NOT_HERE):
        return
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif words[0] == "python":
        script(root, place, filled(words[1:], place, run_folder, study_folder))
    else:
        assert words[0] == "fedmf-ray", f"{words[0]}: say in NOT_HERE why this is not run"
        ours(place, filled(words[1:], place, run_folder, study_folder))


def parsed(words):
    """Arguments and options exist."""
    command = cli
    words = list(words)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("it", words)


def filled(words, place, run_folder, study_folder):
    """With something for each word in capitals."""
    instead = {
        "RUN": run_folder,
        "RUN...": run_folder,
        "OTHER_RUN": run_folder,
        "STUDY": study_folder,
        "STUDY...": study_folder,
        "SCENARIO": "quickstart",
        "ID": "7",
        "FOLDER": str(place / "exported"),
        "42": "7",
    }
    return [instead.get(word, word) for word in words]


def ours(place, words):
    name = words[1].rpartition("/")[2].removesuffix(".yaml") if len(words) > 1 else ""
    overrides = [word for word in words[2:] if "=" in word and not word.startswith("-")]
    if name in LONG:
        scenario_file.read(folder() / f"{name}.yaml", overrides)
        return
    if words[0] == "run" and name == "ratings":
        words = [*words, "cluster.backend=serial"]
    if words[0] in ("run", "audit", "estimate") and name == "quickstart":
        given = {word.partition("=")[0] for word in overrides}
        wanted = (*SMALL, WATCHED) if words[0] == "audit" else SMALL
        small = [word for word in wanted if word.partition("=")[0] not in given]
        words = [*words[:2], *small, *words[2:]]
    if words[0] == "export":
        shutil.rmtree(place / "exported", ignore_errors=True)
    if words[0] == "clean":
        words = [*words, "--results", str(place / "results"), "--checkpoints", str(place / "none")]
    called(place, *words)


def script(root, place, words):
    """A script of ``analysis/`` in this process; of benchmarks, it must be there."""
    path, *arguments = words
    assert (root / path).is_file()
    if path.startswith("analysis/"):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.syspath_prepend(str(root / "analysis"))
            main = runpy.run_path(str(root / path))["main"]
            if path.endswith(("quality.py", "table.py", "convergence.py", "cost.py")):
                assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
            else:
                main.make_context(path, list(arguments))


def test_the_list_of_what_is_not_run_names_nothing_that_no_document_tells(root):
    words = [parameter.values[0] for parameter in told(root)]
    unused = [start for start in NOT_HERE if not any(one[: len(start)] == start for one in words)]
    assert set(unused) <= {("conda",), ("pip",), ("fedmf-ray", "follow")}


def test_the_snippets_of_the_readme_run(root, place):
    """One after the other, as in one notebook."""
    text = (root / "README.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    own = pd.read_csv(place / "ratings.csv").rename(
        columns={"reader": "user", "isbn": "item", "points": "rating", "when": "timestamp"}
    )
    (place / "readme").mkdir()
    own.to_csv(place / "readme" / "ratings.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "readme")
        patch.setenv("MPLBACKEND", "agg")
        names = {}
        for snippet in snippets:
            exec(compile(snippet, "README.md", "exec"), names)
        assert names["run"].recommend("reader-3")["expected"].notna().all()
