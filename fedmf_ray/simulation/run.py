"""Runs one scenario into one run folder: checks first, then rounds, a row on disk as each one ends."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.privacy import views
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.scenario import Scenario
from fedmf_ray.simulation.backends import Backend, open_backend
from fedmf_ray.simulation.central import Central
from fedmf_ray.simulation.plan import Plan
from fedmf_ray.simulation.progress import Progress
from fedmf_ray.simulation.rounds import Federation, Round, place, recorded_rounds
from fedmf_ray.simulation.run_folder import RunFolder, check_writable, environment, new_path

Row = dict[str, Any]


class Experiment(Protocol):
    """Something that trains in rounds: the federation, or the central baseline."""

    setup: dict[str, Any]
    """What happened before round 0, for the summary."""
    facts: dict[str, Any]
    """Where and how it runs, for the environment."""
    status: str
    """How it ended: complete or converged."""
    agreed: Agreed | None
    """What an adversary knows of the settings, if there is a protocol to observe."""

    def rounds(self) -> Iterator[Round]:
        """What each round leaves behind."""


def run(scenario: Scenario, results: Path, progress: Progress) -> Path:
    """Run one scenario and return its run folder (absolute).

    Raises :class:`~fedmf_ray.errors.FedMFError` for anything wrong with the scenario, the data or the
    machine, before a folder exists. Raises :class:`~fedmf_ray.errors.DivergenceError` after the rows of
    the sound rounds, and a summary that says what happened, have been written.
    """
    return run_into(new_path(check_writable(results), scenario), scenario, progress)


def run_into(path: Path, scenario: Scenario, progress: Progress) -> Path:
    """:func:`run`, into a folder of the caller's choice that does not exist yet."""
    with _experiment(scenario, progress) as experiment:
        folder = RunFolder(path, scenario, environment(experiment.facts))
        summary: Row = {"status": "interrupted", "rounds": 0, "setup": experiment.setup}
        started = time.perf_counter()
        try:
            for row, users, view in experiment.rounds():
                folder.append_round(row, users)
                if view is not None and experiment.agreed is not None:
                    views.save(view, experiment.agreed, folder.path / "view")
                summary["rounds"] += 1
                summary["last_round"] = {key: _json(value) for key, value in row.items()}
                progress.round(row, scenario.stop.rounds)
            summary["status"] = experiment.status
        except DivergenceError as error:
            summary |= {"status": "diverged", "reason": error.advice}
            raise
        except FedMFError as error:
            summary |= {"status": "failed", "reason": str(error)}
            raise
        finally:
            folder.finish(summary | {"wall_s": time.perf_counter() - started})
    return folder.path


def preflight(scenario: Scenario, backend: Backend) -> None:
    """Raise what :func:`run` would raise before its first actor: bad data, bounds, too little memory."""
    if scenario.model.algorithm == "regular_mf":
        Central(scenario)
    else:
        plan = Plan.of(scenario)
        place(scenario, plan, backend)
        recorded_rounds(scenario, plan)


@contextmanager
def _experiment(scenario: Scenario, progress: Progress) -> Iterator[Experiment]:
    if scenario.model.algorithm == "regular_mf":
        yield Central(scenario)
        return
    plan = Plan.of(scenario)
    backend = open_backend(scenario.cluster)
    try:
        yield Federation(scenario, plan, backend, progress)
    finally:
        backend.close()


def _json(value: Any) -> Any:
    """JSON has no NaN: a loss without a test set is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
