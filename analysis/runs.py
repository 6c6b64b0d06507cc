"""Reads run folders and studies."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fedmf_ray.errors import FedMFError


@dataclass(frozen=True)
class Run:
    """One run folder in memory."""

    path: Path
    scenario: dict[str, Any]
    rounds: pd.DataFrame
    """``rounds.csv``: a row per round."""
    summary: dict[str, Any]
    """``summary.json``; empty while a run is still going on."""

    @property
    def label(self) -> str:
        """The scenario's name and what protects it."""
        if self.scenario["model"]["algorithm"] == "regular_mf":
            return f"{self.scenario['name']} (central)"
        protocol = self.scenario["protocol"]
        scheme = protocol.get("charge") or protocol["scheme"]
        key = "" if scheme == "plain" else f", {protocol['key_bits']} bits"
        return f"{self.scenario['name']} ({scheme}{key})"


def read_run(path: str | Path) -> Run:
    """Read a run folder; raises :class:`FedMFError` if it is not one or holds no round yet."""
    path = Path(path)
    try:
        scenario = yaml.safe_load((path / "scenario.yaml").read_text(encoding="utf-8"))
        rounds = pd.read_csv(path / "rounds.csv")
        summary_file = path / "summary.json"
        summary = json.loads(summary_file.read_text(encoding="utf-8")) if summary_file.exists() else {}
    except FileNotFoundError as error:
        raise FedMFError(
            f"{path}: is not a run folder with at least one round (no {error.filename})"
        ) from None
    return Run(path, scenario, rounds, summary)


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Read several run folders; one that is half-written is left out, and a line on stderr says so.

    Raises :class:`FedMFError` if one is no run folder at all, or none is whole.
    """
    runs = []
    for path in map(Path, paths):
        if (path / "scenario.yaml").exists() and not (
            (path / "rounds.csv").exists() and (path / "summary.json").exists()
        ):
            print(f"{path}: left out, its run has not ended", file=sys.stderr)
            continue
        runs.append(read_run(path))
    if not runs:
        raise FedMFError(f"{paths[0]}: no run with at least one round")
    return runs


def read_study(*paths: str | Path) -> pd.DataFrame:
    """``study.csv`` of study folders, or tables that ``fedmf-ray estimate -o`` wrote, one below the other.

    A row per cell and round; swept keys stand before ``round``. Several must have swept the same keys.
    """
    tables = []
    for path in map(Path, paths):
        file = path / "study.csv" if path.is_dir() else path
        if not file.is_file():
            raise FedMFError(f"{path}: is not a study with at least one complete cell (no study.csv)")
        tables.append(pd.read_csv(file))
        if "round" not in tables[-1] or "cell" not in tables[-1]:
            raise FedMFError(f"{path}: is not a table of a study (no columns cell and round)")
        if swept_keys(tables[-1]) != swept_keys(tables[0]):
            raise FedMFError(f"{path}: swept other keys than {paths[0]}")
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def read_any(paths: Sequence[str | Path]) -> list[tuple[str, pd.DataFrame]]:
    """Names and tables of runs and studies, in order."""
    named = []
    for path in map(Path, paths):
        if (path / "study.csv").exists() or path.is_file():
            named.append((path.parent.name or path.name, read_study(path)))
        else:
            named += [(run.label, run.rounds) for run in read_runs([path])]
    return named


def swept_keys(study: pd.DataFrame) -> list[str]:
    """The dotted keys that a study swept, in the order of its file."""
    return list(study.columns[1 : study.columns.get_loc("round")])


def read_audit(path: str | Path) -> pd.DataFrame:
    """``audit.json`` of a run or a study: a row per attack, swept keys as columns of their own."""
    file = Path(path) / "audit.json"
    if not file.is_file():
        raise FedMFError(f"{path}: has not been audited (no audit.json)")
    return pd.DataFrame([{**row.pop("keys"), **row} for row in json.loads(file.read_text(encoding="utf-8"))])
