"""Runs every cell of a study, each into a run folder of its own, and gathers them in one table.

    results/<scenario>/study-<digest>/
        study.yaml    the scenario with its sweep; a folder belongs to one content
        cells.csv     a row per cell: swept keys, status, error
        study.csv     a row per cell and round: swept keys, then the columns of rounds.csv
        cells/0000/   the run folder of cell 0, ...

Called again, it runs the cells that are not complete, so a study can go on after Ctrl-C or a lost machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from fedmf_ray.engine.backends import Backend, open_backend
from fedmf_ray.engine.progress import Progress
from fedmf_ray.engine.run import COMPLETE, ENDED, preflight, resume, run_into
from fedmf_ray.engine.state import check_outside, check_state, checkpoints_of, forget
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.files import write
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.ownership import Busy, locked
from fedmf_ray.storage.run_folder import check_own_files, check_writable, read_json
from fedmf_ray.storage.run_tables import RunTables
from fedmf_ray.study.cells import Cell, Study, table_value


@dataclass(frozen=True)
class CellState:
    """Where a cell stands: its run's status, or ``failed`` or ``missing``; if incomplete, the reason."""

    cell: Cell
    status: str
    reason: str = ""


class StudyProgress(Progress, Protocol):
    """What a person may be shown while a study goes on."""

    def cell(self, done: int, total: int, name: str) -> None:
        """``done`` cells have ended and the named one is about to start."""


@dataclass(frozen=True)
class Outcome:
    """A study's folder and where each cell stands."""

    path: Path
    states: list[CellState]

    @property
    def incomplete(self) -> list[CellState]:
        return [state for state in self.states if state.status not in COMPLETE]


def run_study(study: Study, results: Path, progress: StudyProgress, folder: Path | None = None) -> Outcome:
    """Run what is missing of a study; one cell's failure does not stop the others.

    folder: where the study lives, instead of a folder of its own below ``results``. Raises
    :class:`FedMFError` before anything runs if it holds another study, or if a cell could not run.
    """
    path = check_writable(folder or results / study.name / f"study-{study.digest}")
    _check_same(path, study)
    for cell in study.cells:
        check_outside(cell.scenario, path if folder else results.expanduser().absolute())
    missing = [cell for cell in study.cells if _state(path, cell).status not in ENDED]
    failures: dict[int, str] = {}
    # One Ray for all cells: starting it costs more than a small cell.
    kinds = {cell.scenario.cluster.backend: cell.scenario.cluster for cell in missing}
    backends = {kind: open_backend(cluster) for kind, cluster in kinds.items()}
    try:
        _preflight(missing, backends)
        path.mkdir(parents=True, exist_ok=True)
        with locked(path / ".lock", path):
            write(path / "study.yaml", study.text)
            # Another process may have held the lock until now.
            missing = [cell for cell in missing if _state(path, cell).status not in ENDED]
            try:
                _run_all(path, missing, len(study.cells), progress, failures)
            finally:
                (path / ".lock").unlink(missing_ok=True)  # only runs should stay
                states = [_state(path, cell, failures.get(cell.number)) for cell in study.cells]
                _write_tables(path, states)
    finally:
        for backend in backends.values():
            backend.close()
    return Outcome(path, states)


def _run_all(
    path: Path, missing: list[Cell], total: int, progress: StudyProgress, failures: dict[int, str]
) -> None:
    """Run cells one after the other; failures gets the reasons of those that end with an error."""
    for at, cell in enumerate(missing):
        progress.cell(total - len(missing) + at, total, str(cell))
        try:
            _run(path / "cells" / cell.name, cell, progress)
        except FedMFError as error:
            failures[cell.number] = str(error)
        except Exception as error:  # a defect, or Ray's: it must not take the other cells along
            failures[cell.number] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _run(folder: Path, cell: Cell, progress: Progress) -> None:
    """Run a cell, or go on with it where it was interrupted; its checkpoints are of no use afterwards."""
    for part in (folder.parent, folder):
        if part.is_symlink():
            raise FedMFError(f"{part}: is a link: a study holds its own cells")
    try:
        if not (folder.exists() and _went_on(folder, progress)):
            forget(folder, cell.scenario)
            shutil.rmtree(folder, ignore_errors=True)
            run_into(folder, cell.scenario, progress)
    except DivergenceError:
        forget(folder, cell.scenario)
        raise
    forget(folder, cell.scenario)


def _went_on(folder: Path, progress: Progress) -> bool:
    """Whether a cell that was interrupted could be ended from its checkpoint."""
    try:
        resume(folder, progress)
    except (DivergenceError, Busy):
        raise
    except CheckpointError:  # nothing to go on from, or damaged
        return False
    except FedMFError:
        if _can_go_on(folder):
            raise  # a disk that is full, workers that die: what there is stays for the next time
        return False
    return True


def _can_go_on(folder: Path) -> bool:
    """Whether a cell has a checkpoint that belongs to it."""
    try:
        scenario = scenario_file.load(folder / "scenario.yaml")
        checkpoints = checkpoints_of(folder, scenario, RunTables(folder))
        check_own_files(folder)
        if checkpoints is not None:
            check_state(checkpoints, folder, scenario)
        return checkpoints is not None
    except FedMFError:
        return False


def _write_tables(path: Path, states: list[CellState]) -> None:
    """``cells.csv`` of all cells and ``study.csv`` of the rounds of those that have ended; what lists are
    measured by is in the last round's row."""
    cells, rounds = [], []
    for state in states:
        keys = {
            "cell": state.cell.number,
            **{key: table_value(value) for key, value in state.cell.keys.items()},
        }
        cells.append({**keys, "status": state.status, "reason": state.reason})
        file = path / "cells" / state.cell.name / "rounds.csv"
        if state.status in ENDED and file.exists():
            try:
                table = pd.read_csv(file)
            except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
                why = " ".join(str(error).split())
                raise FedMFError(f"{file}: cannot be read: {why}: remove its cell to run it again") from error
            for measure, value in _ranking(path, state.cell).items() if len(table) else ():
                if measure not in ("k", "users"):
                    table.loc[table.index[-1], measure] = value
            rounds.append(pd.concat([pd.DataFrame([keys] * len(table), index=table.index), table], axis=1))
    write(path / "cells.csv", pd.DataFrame(cells).to_csv(index=False))
    if rounds:
        write(path / "study.csv", pd.concat(rounds).to_csv(index=False))


def _check_same(path: Path, study: Study) -> None:
    if not os.path.exists(path) or not any(path.iterdir()):
        return
    try:
        known = (path / "study.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError):  # also of bytes that are no text
        raise FedMFError(f"{path}: is not empty and holds no study: choose another folder") from None
    if known != study.text:
        raise FedMFError(f"{path}: holds a study of another scenario: choose another folder, or no folder")


def _summary(path: Path, cell: Cell) -> dict[str, Any]:
    """What a run folder says of its end; nothing if it has none."""
    return read_json(path / "cells" / cell.name / "summary.json")


def _ranking(path: Path, cell: Cell) -> dict[str, Any]:
    ranking = _summary(path, cell).get("ranking")
    return ranking if isinstance(ranking, dict) else {}


def _state(path: Path, cell: Cell, failure: str | None = None) -> CellState:
    """Where a cell stands by what its run folder says; a folder without an end counts for nothing."""
    summary = _summary(path, cell)
    if summary.get("status") in ENDED:
        return CellState(cell, summary["status"], str(summary.get("reason", "")))
    return CellState(cell, "failed", failure) if failure else CellState(cell, "missing")


def _preflight(cells: list[Cell], backends: Mapping[Any, Backend]) -> None:
    """Find every cell that cannot run before the first one starts."""
    problems: dict[str, list[str]] = {}
    for cell in cells:
        try:
            preflight(cell.scenario, backends[cell.scenario.cluster.backend])
        except FedMFError as error:
            problems.setdefault(str(error), []).append(str(cell))
    if problems:
        raise FedMFError("; ".join(f"{', '.join(cells)}: {reason}" for reason, cells in problems.items()))
