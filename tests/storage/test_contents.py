"""The table of columns is compared with what runs write: nothing is missing in it, and nothing is made up."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.storage import contents
from fedmf_ray.study.audit import audit_scenario
from tests.support.small_runs import small


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A plain run with a view and lists, one that is charged, one that went on, and a baseline."""
    folder = tmp_path_factory.mktemp("results")
    plain = {"protocol__scheme": "plain"}
    scenarios = (
        small(**plain, observe="server", metrics={"top_k": 3}, participation={"late": 0.3}),
        small(**plain, protocol__charge="packed", stop__rounds=1),
        small(model__algorithm="regular_mf", stop__rounds=1),
        small(metrics={"top_k": 2}, stop__rounds=1),
        small(**plain, stop__rounds=1),
    )
    made = [run(scenario, folder, Silent()) for scenario in scenarios]
    resume(made[-1], Silent(), ["stop.rounds=2"])
    return made


EARLY = {"early_stopping.best_round", "early_stopping.best_rmse"}  # tests/engine/test_stopping.py
NODES = {f"between_nodes.{what}_bytes" for what in ("total", "small", "CALL")}  # tests/engine/test_nodes.py


def dotted(tree, holds, above=""):
    """Keys of JSON as the table has them: as deep as it names them."""
    for key, value in tree.items():
        deeper = isinstance(value, dict) and any(name.startswith(f"{above}{key}.") for name in holds)
        yield from dotted(value, holds, f"{above}{key}.") if deeper else [f"{above}{key}"]


def check(found, file, missing=()):
    assert set(found) - set(file.holds) == set(), file.name
    assert set(file.holds) - set(found) == set(missing), file.name


def test_rounds(runs):
    check(
        {column for path in runs for column in pd.read_csv(path / "rounds.csv")}, contents.ROUNDS, {"MEASURE"}
    )


def test_users(runs):
    with gzip.open(runs[0] / "users.csv.gz", "rt") as file:
        check(file.readline().strip().split(","), contents.USERS)


def test_summary(runs):
    holds = contents.SUMMARY.holds
    found = {key for path in runs for key in dotted(json.loads((path / "summary.json").read_text()), holds)}
    check(
        found, contents.SUMMARY, missing={"reason", "ranking.MEASURE", "ranking.popularity", *EARLY, *NODES}
    )


def test_environment(runs):
    check(
        {key for path in runs for key in json.loads((path / "environment.json").read_text())},
        contents.ENVIRONMENT,
    )


def test_events(runs):
    lines = [
        json.loads(line)
        for path in runs
        if (path / "events.jsonl").exists()
        for line in (path / "events.jsonl").read_text().splitlines()
    ]
    assert {line["event"] for line in lines} == {"refused", "resumed"}
    assert {key for line in lines for key in line} <= set(contents.EVENTS.holds)


def test_every_event_that_the_engine_records_is_named(root):
    import re

    text = "".join(path.read_text() for path in (root / "fedmf_ray" / "engine").glob("*.py"))
    events = set(re.findall(r"(?:_events|journal)\(\s*\"(\w+)\"", text))
    named = set(re.findall(r"\w+", contents.EVENTS.holds["event"]))
    assert events
    assert events <= named


def test_estimates(tmp_path):
    from fedmf_ray.engine.backends import open_backend
    from fedmf_ray.study.estimate import estimate, write_rows

    scenario = small(protocol__scheme="plain")
    backend = open_backend(scenario.cluster)
    file = write_rows(tmp_path / "costs.csv", [({}, estimate(scenario, backend))])
    check(pd.read_csv(file), contents.ESTIMATE, missing={"KEY"})


def test_exports(runs, tmp_path):
    from fedmf_ray.api.runs import Run

    folder = Run(runs[0]).export(tmp_path / "exported")
    files = (contents.EXPORTED_ITEMS, contents.EXPORTED_USERS, contents.EXPORTED_PREDICTIONS)
    for file in files:
        columns = pd.read_csv(folder / file.name.split()[0]).columns
        found = {"factor_N" if column.startswith("factor_") else column for column in columns}
        check(found, file, missing={"bias", "raters"} & set(file.holds))


def test_studies(tmp_path):
    from fedmf_ray.api import sweep

    tree = {
        "name": "small",
        "ratings": {"source": "synthetic", "users": 5, "items": 6},
        "protocol": {"scheme": "plain"},
        "stop": {"rounds": 1},
        "cluster": {"backend": "serial"},
        "sweep": {"model.factors": [2, 3]},
    }
    path = sweep(tree, results=tmp_path).path
    columns = {"KEY" if name == "model.factors" else name for name in pd.read_csv(path / "study.csv")}
    check(columns - set(contents.ROUNDS.holds), contents.STUDY, missing={"MEASURE"})
    cells = {"KEY" if name == "model.factors" else name for name in pd.read_csv(path / "cells.csv")}
    check(cells, contents.CELLS)


def test_view_and_audit(runs, tmp_path):
    check(json.loads((runs[0] / "view" / "agreed.json").read_text()), contents.VIEW_AGREED)
    with np.load(runs[0] / "view" / "round-0000.npz") as arrays:
        check(arrays, contents.VIEW_ROUND, missing={"ciphertexts"})
    scenario = small(protocol__scheme="plain", observe="server", stop__rounds=1)
    audited = audit_scenario(scenario, tmp_path, Silent(), np.arange(0.5, 5.5, 0.5))
    for finding in json.loads((audited.path / "audit.json").read_text()):
        check(finding, contents.AUDIT)
