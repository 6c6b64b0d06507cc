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
from fedmf_ray.report.names import distinct, protected_by


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
        """The scenario's name and what protects it, or which central baseline it is."""
        return f"{self.scenario['name']} ({protected_by(self.scenario)})"


@dataclass(frozen=True)
class Study:
    """One study folder in memory."""

    path: Path
    text: str
    """``study.yaml``: the scenario with its sweep."""
    cells: pd.DataFrame
    """``cells.csv``: a row per cell, with swept keys and how it ended."""
    rounds: pd.DataFrame
    """``study.csv``: a row per cell and round, each with its basis; empty if no cell is complete."""

    @property
    def scenario(self) -> dict[str, Any]:
        tree: dict[str, Any] = yaml.safe_load(self.text)
        return tree

    @property
    def ended(self) -> pd.DataFrame:
        """Rounds of the cells that ended well: the last round of one that diverged is no result."""
        well = self.cells.loc[self.cells["status"].isin(["complete", "converged", "stopped_early"]), "cell"]
        return self.rounds[self.rounds["cell"].isin(well)] if len(self.rounds) else self.rounds

    @property
    def label(self) -> str:
        return f"Study {self.scenario.get('name') or self.path.absolute().parent.name}"


def read_run(path: str | Path) -> Run:
    """Read a run folder; raises :class:`FedMFError` if it is not one or holds no round yet."""
    path = Path(path)
    try:
        scenario = yaml.safe_load((path / "scenario.yaml").read_text(encoding="utf-8"))
        rounds = pd.read_csv(path / "rounds.csv")
        summary_file = path / "summary.json"
        summary = json.loads(summary_file.read_text(encoding="utf-8")) if summary_file.exists() else {}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FedMFError(
            f"{path}: is not a run folder with at least one round (no {error.filename})"
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # pandas' and json's errors are ValueErrors
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    rounds.attrs["source"] = str(path)
    return Run(path, scenario, rounds, summary)


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Read several run folders; one that is half-written is left out, and a line on stderr says so.

    Raises :class:`FedMFError` if one is no run folder at all, or none is complete.
    """
    runs = [read_run(path) for path in map(Path, paths) if not _half_written(path)]
    if not runs:
        raise FedMFError(f"{paths[0]}: no run with at least one round")
    return runs


def _half_written(path: Path) -> bool:
    """Whether a run folder lacks its rounds or its end, with a notice if so."""
    if not (path / "scenario.yaml").exists():
        return False
    half = not ((path / "rounds.csv").exists() and (path / "summary.json").exists())
    if half:
        print(f"{path}: left out, its run has not ended", file=sys.stderr)
    return half


def read_study(*paths: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """``study.csv`` of study folders, or tables that ``fedmf-ray estimate -o`` wrote, one below the other.

    A row per cell and round; swept keys stand before ``round``. Several must have swept the same keys; their
    cells are numbered on, and where two hold the same setting on the same basis, a key ``study`` tells
    them apart, for they may come from different machines. columns: those that must be there; beside
    them only ``basis`` and ``users`` are read, which is several times faster.
    """
    tables = [_read_study(Path(path), columns) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if swept_keys(table) != swept_keys(tables[0]):
            raise FedMFError(f"{path}: swept other keys than {paths[0]}")
    if len(tables) == 1:
        return tables[0]
    settings = pd.concat([table[_setting_of(table)].drop_duplicates() for table in tables])
    if settings.duplicated().any():
        for name, table in zip(distinct([_name(path) for path in paths], paths), tables, strict=True):
            table.insert(1, "study", name)
    first = 0
    for table in tables:
        table["cell"] += first
        first = int(table["cell"].max()) + 1
    joined = pd.concat(tables, ignore_index=True)
    joined.attrs["source"] = ", ".join(map(str, paths))
    return joined


def read_study_folder(path: str | Path) -> Study:
    """Read a whole study folder; raises :class:`FedMFError` if its sweep has not ended."""
    path = Path(path)
    if not (path / "cells.csv").exists():
        raise FedMFError(f"{path}: has not ended yet (no cells.csv): run its sweep again")
    try:
        text = (path / "study.yaml").read_text(encoding="utf-8")
        cells = pd.read_csv(path / "cells.csv")
    except (OSError, ValueError) as error:
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    rounds = with_basis(read_study(path)) if (path / "study.csv").exists() else pd.DataFrame()
    return Study(path, text, cells, rounds)


TOGETHER = frozenset({"open_s", "seal_s"})
"""Seconds of what users do for all in a round."""


def with_basis(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``basis``; before there was one, every second was measured."""
    if "basis" in table:
        return table.fillna({"basis": "measured"})
    return table.assign(basis="measured")


def with_opening(table: pd.DataFrame) -> pd.DataFrame:
    """With the columns :data:`TOGETHER`: runs of an earlier version, in which nobody did that, lack some."""
    return table.assign(**{column: 0.0 for column in TOGETHER if column not in table})


def _read_study(path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    file = path / "study.csv" if path.is_dir() else path
    if not file.is_file():
        raise FedMFError(f"{path}: is not a study with at least one complete cell (no study.csv)")
    try:
        header = list(pd.read_csv(file, nrows=0).columns)
        if "round" not in header or header[:1] != ["cell"]:
            raise FedMFError(f"{path}: is not a table of a study (no columns cell and round)")
        wanted = {*header[: header.index("round") + 1], *(columns or header), "basis", "users"}
        table = pd.read_csv(file, usecols=[column for column in header if column in wanted])
    except (OSError, ValueError) as error:
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    table = with_opening(table) if TOGETHER.intersection(columns or ()) else table
    table.attrs["source"] = str(path)
    need(table, columns or ())
    return table


def _setting_of(table: pd.DataFrame) -> list[str]:
    return [*swept_keys(table), *(["basis"] if "basis" in table else [])]


def _name(path: str | Path) -> str:
    """What a study is called: the folder that holds it has its scenario's name."""
    path = Path(path).absolute()
    return path.parent.name if path.name.startswith("study-") else path.stem


def read_any(
    paths: Sequence[str | Path], columns: Sequence[str] | None = None
) -> list[tuple[str, pd.DataFrame]]:
    """Names, no two alike, and tables of runs and studies, in order; half-written runs are left out.

    Raises :class:`FedMFError` naming the folder that is neither, or that lacks one of the columns.
    """
    found: list[tuple[Path, str, pd.DataFrame]] = []
    for path in map(Path, paths):
        if path.is_file() or (path / "study.yaml").exists() or (path / "study.csv").exists():
            found.append((path, _name(path), read_study(path, columns=columns)))
        elif not _half_written(path):
            run = read_run(path)
            rounds = with_opening(run.rounds) if TOGETHER.intersection(columns or ()) else run.rounds
            need(rounds, columns or ())
            found.append((path, run.label, rounds))
    if not found:
        raise FedMFError(f"{paths[0]}: no run with at least one round")
    names = distinct([name for _, name, _ in found], [path for path, _, _ in found])
    return [(name, table) for name, (_, _, table) in zip(names, found, strict=True)]


def need(table: pd.DataFrame, columns: Sequence[str], source: str = "the table") -> None:
    """Raise :class:`FedMFError` naming the table's folder and the first column that it lacks.

    source: how a table is called that came from no folder.
    """
    for column in columns:
        if column not in table:
            folder = table.attrs.get("source", source)
            raise FedMFError(f"{folder}: its rounds have no column {column} (written by an older version?)")


def swept_keys(study: pd.DataFrame) -> list[str]:
    """The dotted keys that a study swept, in the order of its file; none for the table of a run."""
    return list(study.columns[1 : study.columns.get_loc("round")]) if "cell" in study else []


def read_audit(path: str | Path) -> pd.DataFrame:
    """``audit.json`` of a run or a study: a row per attack, swept keys as columns of their own."""
    file = Path(path) / "audit.json"
    if not file.is_file():
        raise FedMFError(f"{path}: has not been audited (no audit.json)")
    return pd.DataFrame([{**row.pop("keys"), **row} for row in json.loads(file.read_text(encoding="utf-8"))])
