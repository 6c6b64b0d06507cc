"""Reads run folders and studies."""

from __future__ import annotations

import json
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
        key = "" if protocol["scheme"] == "plain" else f", {protocol['key_bits']} bits"
        return f"{self.scenario['name']} ({protocol['scheme']}{key})"


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


def read_study(path: str | Path) -> pd.DataFrame:
    """``study.csv`` of a study folder: a row per cell and round; swept keys stand before ``round``."""
    file = Path(path) / "study.csv"
    if not file.is_file():
        raise FedMFError(f"{path}: is not a study with at least one complete cell (no study.csv)")
    return pd.read_csv(file)


def swept_keys(study: pd.DataFrame) -> list[str]:
    """The dotted keys that a study swept, in the order of its file."""
    return list(study.columns[1 : study.columns.get_loc("round")])


def read_audit(path: str | Path) -> pd.DataFrame:
    """``audit.json`` of a run or a study: a row per attack, swept keys as columns of their own."""
    file = Path(path) / "audit.json"
    if not file.is_file():
        raise FedMFError(f"{path}: has not been audited (no audit.json)")
    return pd.DataFrame([{**row.pop("keys"), **row} for row in json.loads(file.read_text(encoding="utf-8"))])
