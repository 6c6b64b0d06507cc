"""Runs one scenario into one run folder: checks first, then rounds, a row on disk as each one ends."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from fedmf_ray.engine.backends import Backend, open_backend
from fedmf_ray.engine.central import Central
from fedmf_ray.engine.crew import Events
from fedmf_ray.engine.federation import Federation, Round
from fedmf_ray.engine.observation import recorded_rounds
from fedmf_ray.engine.progress import Progress
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.planning.placement import place
from fedmf_ray.planning.plan import Plan
from fedmf_ray.planning.population import Population
from fedmf_ray.privacy import views
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.storage.checkpoints import Checkpoints, state_folder
from fedmf_ray.storage.run_folder import RunFolder, check_writable, environment, new_path, read_json
from fedmf_ray.termination import termination_as_interrupt

Row = dict[str, Any]

COMPLETE = ("complete", "converged")
ENDED = (*COMPLETE, "diverged")
"""A run with one of these ended by itself and would end the same way again."""


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
    first_round: int
    """The round with which it starts: 0, or where a checkpoint was written."""

    def rounds(self) -> Iterator[Round]:
        """What each round leaves behind."""

    def closing(self) -> Row:
        """What there is to say however it ended, for the summary."""

    def ranking(self) -> Row:
        """What lists are measured by when training has ended; nothing if that was not asked."""

    def interrupt(self, written: int) -> None:
        """Save what can be saved at once. written: rounds whose rows are on disk."""


def run(scenario: Scenario, results: Path, progress: Progress) -> Path:
    """Run one scenario and return its run folder (absolute).

    Raises :class:`~fedmf_ray.errors.FedMFError` for anything wrong with the scenario, the data or the
    machine, before a folder exists. Raises :class:`~fedmf_ray.errors.DivergenceError` after the rows of
    the complete rounds, and a summary that says what happened, have been written. Ctrl-C and SIGTERM leave a
    folder that :func:`resume` goes on with.
    """
    return run_into(new_path(check_writable(results), scenario), scenario, progress)


def run_into(path: Path, scenario: Scenario, progress: Progress) -> Path:
    """:func:`run`, into a folder of the caller's choice that does not exist yet."""
    journal, name = Journal(), f"{scenario.name}/{path.name}-{secrets.token_hex(4)}"
    checkpoints = _checkpoints(name, scenario)
    with _experiment(scenario, progress, checkpoints, journal, resumes=False) as experiment:
        facts = experiment.facts | ({"checkpoints": name} if checkpoints else {})
        folder = RunFolder(path, scenario, environment(facts))
        journal.write_to(folder)
        _drive(experiment, folder, scenario, progress, {"setup": experiment.setup})
    return folder.path


def resume(path: Path, progress: Progress, overrides: Sequence[str] = ()) -> Path:
    """Go on with a run from its newest checkpoint; the results are those of a run that never stopped.

    overrides: words as of the command line, for keys of ``stop`` and ``cluster`` alone: no other may change.
    Raises :class:`~fedmf_ray.errors.FedMFError` if there is nothing to go on from.
    """
    path = path.expanduser().absolute()
    foreign = [word for word in overrides if word.partition(".")[0] not in ("stop", "cluster")]
    if foreign:
        raise FedMFError(f"{foreign[0]}: only keys of stop and cluster may change when a run goes on")
    scenario = scenario_file.load(path / "scenario.yaml", overrides)
    if scenario.model.central:
        raise FedMFError(f"{path}: {scenario.model.algorithm} writes no checkpoints: run it again")
    if scenario.cluster.checkpoint_every == "never":
        raise FedMFError(f"{path}: ran without checkpoints (cluster.checkpoint_every: never): run it again")
    before = read_json(path / "summary.json") or {}
    journal = Journal()
    earlier = read_json(path / "environment.json") or {}
    checkpoints = checkpoints_of(path, scenario)
    with _experiment(scenario, progress, checkpoints, journal, resumes=True) as experiment:
        here = environment(experiment.facts | {"checkpoints": earlier.get("checkpoints")})
        past = [*earlier.pop("earlier", []), earlier]
        folder = RunFolder.reopen(path, experiment.first_round, scenario, {**here, "earlier": past})
        journal.write_to(folder)
        journal("resumed", round=experiment.first_round)
        progress.note(f"going on with round {experiment.first_round}")
        start: Row = {key: before[key] for key in ("setup", "last_round") if key in before}
        _drive(experiment, folder, scenario, progress, {"setup": experiment.setup, **start})
    return folder.path


def _drive(
    experiment: Experiment, folder: RunFolder, scenario: Scenario, progress: Progress, start: Row
) -> None:
    """Rounds onto disk, and a summary of however it ends."""
    summary: Row = {"status": "interrupted", "rounds": experiment.first_round, **start}
    started, ranking = time.perf_counter(), Row()
    try:
        for row, users, view in experiment.rounds():
            folder.append_round(row, users)
            if view is not None and experiment.agreed is not None:
                views.save(view, experiment.agreed, folder.path / "view")
            summary["rounds"] += 1
            summary["last_round"] = {key: _json(value) for key, value in row.items()}
            progress.round(row, scenario.stop.rounds)
        ranking = experiment.ranking()
        summary["status"] = experiment.status
    except DivergenceError as error:
        ranking = experiment.ranking()
        summary |= {"status": "diverged", "reason": error.advice}
        raise
    except FedMFError as error:
        summary |= {"status": "failed", "reason": str(error)}
        raise
    except KeyboardInterrupt:
        experiment.interrupt(summary["rounds"])
        progress.note(f"interrupted in round {summary['rounds']}; go on: fedmf-ray resume {folder.path}")
        raise
    finally:
        ranked: Row = {"ranking": ranking} if ranking else {}
        ended: Row = {**experiment.closing(), **ranked, "wall_s": time.perf_counter() - started}
        folder.finish(_json(summary | ended))


def preflight(scenario: Scenario, backend: Backend) -> None:
    """Raise what :func:`run` would raise before its first actor: bad data, bounds, too little memory."""
    if scenario.model.central:
        Central(scenario)
    else:
        plan = Plan.of(scenario)
        place(plan, scenario.cluster.users_per_actor, backend.cpus, backend.memory_bytes)
        recorded_rounds(scenario, plan)


def checkpoints_of(path: Path, scenario: Scenario) -> Checkpoints | None:
    """Those of a run, by the name that its ``environment.json`` gives them: no two runs share one."""
    told = (read_json(path / "environment.json") or {}).get("checkpoints")
    return _checkpoints(told or f"{scenario.name}/{path.name}", scenario)


def forget(path: Path, scenario: Scenario) -> None:
    """Remove the checkpoints of a run that will not be resumed."""
    checkpoints = checkpoints_of(path, scenario)
    if checkpoints is not None:
        checkpoints.clear()


def _checkpoints(name: str, scenario: Scenario) -> Checkpoints | None:
    every = scenario.cluster.checkpoint_every
    if every == "never" or scenario.model.central:
        return None
    chosen = scenario.cluster.checkpoint_folder
    return Checkpoints((Path(chosen) if chosen else state_folder() / "checkpoints") / name, every)


class Journal:
    """Failures that were handled, with the time at which they were: a line each in the run folder.

    What happens before there is a folder is kept until there is one.
    """

    def __init__(self) -> None:
        self._waiting: list[Row] = []
        self._folder: RunFolder | None = None

    def __call__(self, event: str, **facts: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        if self._folder is None:
            self._waiting.append(line)
        else:
            self._folder.append_event(line)

    def write_to(self, folder: RunFolder) -> None:
        self._folder = folder
        for line in self._waiting:
            folder.append_event(line)
        self._waiting = []


@contextmanager
def _experiment(
    scenario: Scenario, progress: Progress, checkpoints: Checkpoints | None, events: Events, resumes: bool
) -> Iterator[Experiment]:
    if scenario.model.central:
        central = Central(scenario)
        _show_notes(central.population, progress)
        yield central
        return
    plan = Plan.of(scenario)
    _show_notes(plan.population, progress)
    backend = open_backend(scenario.cluster)
    try:
        with termination_as_interrupt():
            yield Federation(scenario, plan, backend, progress, checkpoints, events, resumes)
    except DivergenceError as error:
        raise DivergenceError(plan.population.names.in_names(error.args[0]), error.advice) from error
    finally:
        backend.close()


def _show_notes(population: Population, progress: Progress) -> None:
    for note in population.notes:
        progress.note(note)


def _json(value: Any) -> Any:
    """JSON has no NaN: a loss without a test set, or a measure of lists without a relevant item, is null."""
    if isinstance(value, dict):
        return {key: _json(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
