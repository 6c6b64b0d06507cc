"""Run folders and studies written by hand."""

import importlib.util
import itertools
import json
import os

import pandas as pd
import pytest

from fedmf_ray.scenario import file as scenario_file

PARTS = [
    "slowest_download_s",
    "slowest_decrypt_s",
    "slowest_update_s",
    "slowest_encrypt_s",
    "slowest_upload_s",
]


@pytest.fixture
def script(root, monkeypatch):
    """The command of a script in analysis/, with the path that ``python analysis/NAME.py`` has."""
    monkeypatch.syspath_prepend(str(root / "analysis"))

    def load(name):
        spec = importlib.util.spec_from_file_location(f"script_{name}", root / "analysis" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.main

    return load


@pytest.fixture
def script_env(root):
    """The environment for a script in a process of its own: it uses the package of this checkout."""
    return os.environ | {"PYTHONPATH": str(root)}


@pytest.fixture
def make_run(tmp_path):
    """A run folder with the given rounds."""

    def make(name, rows, **model):
        folder = tmp_path / name
        folder.mkdir()
        tree = {"name": name, "ratings": {"source": "synthetic", "users": 3, "items": 4}, "model": model}
        (folder / "scenario.yaml").write_text(scenario_file.parse(tree, name).to_yaml())
        lines = [
            "round,train_mse,test_rmse,users",
            *(f"{n},{mse},{rmse},3" for n, (mse, rmse) in enumerate(rows)),
        ]
        (folder / "rounds.csv").write_text("\n".join(lines) + "\n")
        (folder / "summary.json").write_text(json.dumps({"status": "complete"}))
        return folder

    return make


@pytest.fixture
def study():
    """Two texts over three sizes, two rounds each; part text costs items / 100 and full text twice that."""
    rows = [
        {"cell": cell, "ratings.items": items, "protocol.part_text_sparsity": s, "round": number,
         "protocol_s": items / 100 * (2 - s) + (number - 0.5) / 1000, "upload_bytes_total": items * 10}
        for cell, (items, s) in enumerate(itertools.product([40, 80, 800], [1.0, 0.0]))
        for number in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def mixed():
    """A study of two sizes, each measured under encryption and charged in a calibrated run."""
    rows = []
    for cell, (items, basis) in enumerate(itertools.product([40, 400], ["measured", "charged"])):
        parts = [items / 1000 * (part + 1) for part in range(5)]
        rows.append(
            {"cell": cell, "ratings.select.items": items, "protocol.scheme": "packed",
             "protocol.charge": None, "protocol.key_bits": 3072, "round": 0, "basis": basis}
            | dict(zip(PARTS, parts, strict=True))
            | {"server_cpu_s": 0.5, "protocol_s": sum(parts) + 0.5, "users": 10, "user_actors": 2,
               "upload_bytes_total": items * 10**6, "download_bytes_total": 2e6 * items, "wall_s": 3.0}
        )  # fmt: skip
        if basis == "charged":
            rows[-1] |= {"protocol.scheme": "plain", "protocol.charge": "packed"}
    return pd.DataFrame(rows)
