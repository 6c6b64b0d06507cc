"""A small run folder and a small study folder, as runs and sweeps write them, without running anything.

Seconds and bytes of each kind (measured, charged, estimated) have a scale of their own, so that a figure
which mixes kinds equals no figure of one kind alone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fedmf_ray.report.runs import Run, Study, read_run, read_study_folder

BASES = ("measured", "charged", "estimated")
_SCALE = {"measured": 1.0, "charged": 7.3, "estimated": 41.9}

_PROTECTED: tuple[tuple[str, str | None, int, str], ...] = (
    ("plain", None, 1024, "measured"),
    ("packed", None, 2048, "measured"),
    ("plain", "packed", 3072, "charged"),
    ("of-a-plug-in", None, 3072, "estimated"),
)
"""Scheme, charge, key size and basis of the study's cells."""

_FINDING = {
    "adversary": "server", "attack": "uploaded rows", "round": 0, "rounds": 1, "ratings": 12,
    "recovered": 0.25, "users": 6, "rated_precision": 0.5, "rated_recall": 1.0, "cpu_s": 0.01,
}  # fmt: skip


def costs(basis: str, items: int = 20, actors: int = 1, dearer: bool = False) -> dict[str, Any]:
    """The cost columns of one round. dearer: the same with every cost changed, each by another factor."""
    scale = _SCALE[basis] * (1 + items / 100)
    parts = ("download", "decrypt", "update", "encrypt", "upload")
    seconds = {f"slowest_{part}_s": scale * (at + 1) / 10 for at, part in enumerate(parts)}
    means = {f"user_{part}_cpu_s_mean": scale * (at + 1) / 20 for at, part in enumerate(parts[1:4])}
    row = {
        **seconds,
        "server_cpu_s": scale * 0.7,
        "user_cpu_s_max": scale * 0.9,
        **means,
        "network_s_max": scale * 0.6,
        "upload_bytes_total": 1e6 * scale,
        "download_bytes_total": 2.3e6 * scale,
        "wall_s": scale * 3 / actors**0.9,
    }
    if dearer:
        row = {column: value * (1.5 + at / 3) for at, (column, value) in enumerate(row.items())}
    protocol_s = sum(row[column] for column in seconds) + row["server_cpu_s"]
    return {"basis": basis, "protocol_s": protocol_s, **row, "users": 6, "user_actors": actors}


def sample_run(folder: Path, basis: str = "measured", dearer: bool = False) -> Run:
    """A run of two rounds with an audit and a measure of lists that a plug-in added."""
    folder.mkdir(parents=True, exist_ok=True)
    charge = "packed" if basis == "charged" else None
    scenario = {
        "name": "sample",
        "model": {"algorithm": "fedmf", "factors": 4, "rule": "of-a-plug-in", "learning_rate": 0.01},
        "protocol": {"scheme": "plain" if charge else "packed", "charge": charge, "key_bits": 2048},
    }
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    rounds = [
        {"round": number, "train_mse": 1 / (1 + number), "test_rmse": 1 - number / 10}
        | costs(basis, dearer=dearer)
        for number in range(2)
    ]
    pd.DataFrame(rounds).to_csv(folder / "rounds.csv", index=False)
    ranking = {"k": 5, "users": 6, "hit_rate": 0.5, "novelty": 0.25}
    (folder / "summary.json").write_text(json.dumps({"status": "complete", "ranking": ranking}))
    (folder / "audit.json").write_text(json.dumps([{"keys": {}, **_FINDING}]))
    return read_run(folder)


def sample_study(folder: Path, bases: Sequence[str] = BASES, dearer: bool = False) -> Study:
    """A study over items, workers and protection, with the cells of these bases; and a central baseline."""
    folder.mkdir(parents=True, exist_ok=True)
    protected = [row for row in _PROTECTED if row[3] in bases]
    cells, rounds = [], []
    combined = itertools.product((20, 60, 200), (6, 3), [*protected, ("packed", None, 3072, "")])
    for cell, (items, per_actor, (scheme, charge, bits, basis)) in enumerate(combined):
        keys = {
            "cell": cell,
            "ratings.items": items,
            "cluster.users_per_actor": per_actor,
            "model.algorithm": "fedmf" if basis else "biases",
            "protocol.scheme": scheme,
            "protocol.charge": charge,
            "protocol.key_bits": bits,
        }
        cells.append({**keys, "status": "complete", "reason": ""})
        for number in range(2):
            row = {**keys, "round": number, "train_mse": 1 / (1 + number), "test_rmse": 1 - number / 10}
            row |= costs(basis, items, 6 // per_actor, dearer) if basis else {"users": 6}
            rounds.append(row | ({"hit_rate": 0.5, "novelty": 0.25} if number else {}))
    pd.DataFrame(cells).to_csv(folder / "cells.csv", index=False)
    pd.DataFrame(rounds).to_csv(folder / "study.csv", index=False)
    (folder / "study.yaml").write_text("name: sample\nsweep: {}\n", encoding="utf-8")
    found = [{"keys": {"ratings.items": items}, **_FINDING} for items in (20, 60, 200)]
    (folder / "audit.json").write_text(json.dumps(found))
    return read_study_folder(folder)


def empty_study(folder: Path) -> Study:
    """A study none of whose cells is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {"cell": 0, "ratings.items": 20, "status": "failed", "reason": "no memory"}
    pd.DataFrame([row]).to_csv(folder / "cells.csv", index=False)
    (folder / "study.yaml").write_text("name: sample\nsweep: {}\n", encoding="utf-8")
    return read_study_folder(folder)
