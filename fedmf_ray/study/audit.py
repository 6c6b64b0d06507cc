"""Plays the adversary of a scenario on what it saw in a run, and keeps the score.

The attacks (:mod:`fedmf_ray.privacy`) read the recorded view alone. Only the scorer here knows the true
ratings, which it makes from the scenario again. Recovered means exactly: to the step of the rating scale.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.progress import Progress
from fedmf_ray.engine.run import COMPLETE, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.files import write
from fedmf_ray.planning.resolved import resolved
from fedmf_ray.privacy.adversaries import Seen
from fedmf_ray.privacy.views import load
from fedmf_ray.ratings.scale import STARS
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.study.cells import Study
from fedmf_ray.study.scoring import Finding, Truth, findings
from fedmf_ray.study.sweep import CellState, StudyProgress, run_study

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Audit:
    """Findings, each with the swept keys of its cell, and the folder that has them as ``audit.json``.

    incomplete: cells of a study that did not end well and were not attacked.
    """

    path: Path
    findings: list[tuple[dict[str, Any], Finding]]
    incomplete: list[CellState]


def audit_scenario(
    scenario: Scenario,
    results: Path,
    progress: Progress,
    grid: Floats | None = None,
    folder: Path | None = None,
) -> Audit:
    """Run a scenario that says ``observe``, or take a run of it, and attack what it recorded."""
    _check_observed([scenario])
    folder = folder or run(scenario, results, progress)
    return _written(folder, [({}, finding) for finding in audit_run(folder, grid, scenario)], [])


def audit_study(
    study: Study,
    results: Path,
    progress: StudyProgress,
    grid: Floats | None = None,
    attacked: Callable[[CellState, list[Finding]], None] | None = None,
) -> Audit:
    """Run what is missing of a study, and attack every complete cell.

    attacked: called with each cell and what was found in it, as soon as that is known.
    """
    _check_observed(cell.scenario for cell in study.cells)
    outcome = run_study(study, results, progress)
    found = []
    for state in outcome.states:
        if state.status in COMPLETE:
            here = audit_run(outcome.path / "cells" / state.cell.name, grid, state.cell.scenario)
            found += [(state.cell.keys, finding) for finding in here]
            if attacked:
                attacked(state, here)
    return _written(outcome.path, found, outcome.incomplete)


def _check_observed(scenarios: Iterable[Scenario]) -> None:
    if any(scenario.observe is None for scenario in scenarios):
        raise FedMFError(
            "observe: is missing: say what the adversary sees, as in observe=server or observe=user"
        )


def _written(folder: Path, found: list[tuple[dict[str, Any], Finding]], incomplete: list[CellState]) -> Audit:
    rows = [{"keys": keys, **asdict(finding)} for keys, finding in found]
    write(folder / "audit.json", json.dumps(rows, indent=1) + "\n")
    return Audit(folder, found, incomplete)


def audit_run(folder: Path, grid: Floats | None = None, scenario: Scenario | None = None) -> list[Finding]:
    """Play every attack that the view in a run folder allows.

    grid: the possible ratings; if not given, those of the scale that the run knows, because everybody who
    took part knows it. scenario: what the run must have been of. Raises :class:`FedMFError` if there
    is no view, it has too few rounds, or it is another scenario's.
    """
    if not (folder / "scenario.yaml").is_file():
        raise FedMFError(f"{folder}: is not a run folder")
    recorded = scenario_file.load(folder / "scenario.yaml")
    whole, population = resolved(recorded)
    if scenario is not None and whole != resolved(scenario, population)[0]:
        raise FedMFError(f"{folder}: is a run of another scenario, or of one with other settings")
    agreed, views = load(folder / "view")
    truth = Truth(population.all_ratings())
    if grid is None:  # ratings on no grid are attacked as if they were stars
        grid = (STARS if population.scale.step is None else population.scale).grid
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # candidates without a solution are NaN and lose
        return list(findings(Seen(agreed, views, grid, truth.each), truth))
