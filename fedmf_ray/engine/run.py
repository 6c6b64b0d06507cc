"""Runs one scenario into one run folder: checks first, then rounds, a row on disk as each one ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from fedmf_ray.engine.backends import Backend, open_backend
from fedmf_ray.engine.central import Central
from fedmf_ray.engine.crew import Events
from fedmf_ray.engine.facts import placed
from fedmf_ray.engine.federation import Federation, Round
from fedmf_ray.engine.journal import Journal
from fedmf_ray.engine.observation import recorded_rounds
from fedmf_ray.engine.progress import Progress, StoppedError
from fedmf_ray.engine.state import (
    check_outside,
    check_run_folder,
    check_state,
    checkpoints_of,
    founded,
    keeps_state,
    new_state,
)
from fedmf_ray.engine.stopping import STOPPED_EARLY, Stopping
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.planning.population import Population
from fedmf_ray.planning.resolved import resolved
from fedmf_ray.privacy import views
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.storage.checkpoints import Checkpoints
from fedmf_ray.storage.ownership import held, run_name
from fedmf_ray.storage.parquet_rounds import need_pyarrow
from fedmf_ray.storage.run_folder import (
    RunFolder,
    check_own_files,
    check_writable,
    environment,
    new_path,
    read_json,
)
from fedmf_ray.storage.run_tables import RunTables, as_json
from fedmf_ray.termination import termination_as_interrupt

Row = dict[str, Any]

COMPLETE = ("complete", "converged", STOPPED_EARLY)
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
    stopping: Stopping
    """Whether it ends early; whoever resumes it tells it the errors of the rounds before."""
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
    results = check_writable(results)
    check_outside(scenario, results)
    return run_into(new_path(results, scenario), scenario, progress)


def on_the_command_line(path: Path) -> str:
    """How a person goes on with a run that was interrupted."""
    return f"fedmf-ray resume {path}"


def run_into(
    path: Path, scenario: Scenario, progress: Progress, again: Callable[[Path], str] = on_the_command_line
) -> Path:
    """:func:`run`, into a folder of the caller's choice that does not exist yet.

    again: how a person goes on with it if it is interrupted, for the note that says so.
    """
    scenario, population = resolved(scenario)
    journal, tables = Journal(progress), RunTables(path)
    checkpoints = new_state(path, scenario, tables)
    holding = founded(checkpoints, path) if checkpoints else nullcontext()
    with _experiment(
        scenario, progress, checkpoints, journal, holding, resumes=False, population=population
    ) as experiment:
        facts = experiment.facts | ({"checkpoints": run_name(checkpoints.folder)} if checkpoints else {})
        folder = RunFolder.create(path, tables, scenario, environment(facts))
        journal.write_to(folder)
        if checkpoints:
            checkpoints.setup = experiment.setup
        _drive(experiment, folder, scenario, progress, {"setup": experiment.setup}, again)
    return folder.path


def resume(
    path: Path,
    progress: Progress,
    overrides: Sequence[str] = (),
    again: Callable[[Path], str] = on_the_command_line,
) -> Path:
    """Go on with a run from its newest checkpoint; the results are those of a run that never stopped.

    overrides: words as of the command line, for keys of ``stop`` and ``cluster`` alone: no other may change.
    Raises :class:`~fedmf_ray.errors.FedMFError` if there is nothing to go on from, or if the run folder is
    not as the run has left it.
    """
    path = path.expanduser().absolute()
    foreign = [word for word in overrides if word.partition(".")[0] not in ("stop", "cluster")]
    if foreign:
        raise FedMFError(f"{foreign[0]}: only keys of stop and cluster may change when a run goes on")
    check_run_folder(path)
    scenario = scenario_file.load(path / "scenario.yaml", overrides)
    if scenario.model.central:
        raise FedMFError(f"{path}: {scenario.model.algorithm} writes no checkpoints: run it again")
    tables = RunTables(path)
    checkpoints = checkpoints_of(path, scenario, tables)
    if checkpoints is None:
        raise FedMFError(f"{path}: ran without checkpoints (cluster.checkpoint_every: never): run it again")
    check_own_files(path)
    check_outside(scenario, path)
    check_state(checkpoints, path, scenario)
    done = read_json(path / "summary.json").get("rounds")
    if isinstance(done, int) and scenario.stop.rounds < done:
        raise FedMFError(
            f"{path}: has {done} rounds already, and stop.rounds={scenario.stop.rounds} are fewer: give more"
        )
    with held(checkpoints.folder, path):
        return _go_on(path, scenario, tables, checkpoints, progress, again)


def _go_on(
    path: Path,
    scenario: Scenario,
    tables: RunTables,
    checkpoints: Checkpoints,
    progress: Progress,
    again: Callable[[Path], str],
) -> Path:
    journal, earlier = Journal(progress), read_json(path / "environment.json")
    with _experiment(scenario, progress, checkpoints, journal, nullcontext(), resumes=True) as experiment:
        assert checkpoints.resumed is not None
        mark, setup = checkpoints.resumed.tables, checkpoints.resumed.setup or experiment.setup
        here = environment(experiment.facts | {"checkpoints": run_name(checkpoints.folder)})
        before = earlier.pop("earlier", [])
        past = [*(before if isinstance(before, list) else ()), earlier]
        folder = RunFolder.reopen(path, tables, mark, scenario, {**here, "earlier": past})
        for number, error in tables.errors():
            experiment.stopping.learn(number, error)
        journal.write_to(folder)
        journal("resumed", round=experiment.first_round)
        first, rounds = experiment.first_round, scenario.stop.rounds
        over = f"all {rounds} rounds are there: stop.rounds={2 * rounds}, for instance, goes on"
        progress.note(f"going on with round {first}" if first < rounds else over)
        checkpoints.setup = setup
        start: Row = {"setup": setup} | ({"last_round": mark["last"]} if mark["last"] else {})
        _drive(experiment, folder, scenario, progress, start, again)
    return folder.path


def _drive(
    experiment: Experiment,
    folder: RunFolder,
    scenario: Scenario,
    progress: Progress,
    start: Row,
    again: Callable[[Path], str],
) -> None:
    """Rounds onto disk, and a summary of however it ends."""
    summary: Row = {"status": "interrupted", "rounds": experiment.first_round, **start}
    started, ranking = time.perf_counter(), Row()
    try:
        for row, users, view in experiment.rounds():
            folder.append_round(row, users, scenario.results.users == "parquet")
            if view is not None and experiment.agreed is not None:
                views.save(view, experiment.agreed, folder.path / "view")
            summary["rounds"] += 1
            summary["last_round"] = as_json(row)
            progress.round(row, scenario.stop.rounds)
        ranking = experiment.ranking()
        summary["status"], rounds = experiment.status, summary["rounds"]
        if rounds < scenario.stop.rounds and experiment.stopping.over(rounds):
            summary |= {"status": STOPPED_EARLY, "early_stopping": experiment.stopping.row(rounds)}
    except DivergenceError as error:
        ranking = experiment.ranking()
        summary |= {"status": "diverged", "reason": error.advice}
        raise
    except StoppedError as error:
        experiment.interrupt(summary["rounds"])
        summary |= {"status": "failed", "reason": error.brief}
        raise
    except FedMFError as error:
        summary |= {"status": "failed", "reason": str(error)}
        raise
    except KeyboardInterrupt:
        experiment.interrupt(summary["rounds"])
        how = "without checkpoints it cannot go on: run it again"
        if keeps_state(scenario):
            how = f"go on: {again(folder.path)}"
        progress.note(f"interrupted in round {summary['rounds']}; {how}")
        raise
    finally:
        ranked: Row = {"ranking": ranking} if ranking else {}
        ended: Row = {**experiment.closing(), **ranked, "wall_s": time.perf_counter() - started}
        failed = sys.exc_info()[0] is not None
        try:
            folder.finish(summary | ended)
        except FedMFError:
            if not failed:  # else the first error says more
                raise


def preflight(scenario: Scenario, backend: Backend) -> None:
    """Raise what :func:`run` would raise before its first actor: bad data, bounds, too little memory."""
    if scenario.model.central:
        Central(scenario)
    else:
        plan = Plan.of(scenario)
        placed(plan, backend)
        recorded_rounds(scenario, plan)


@contextmanager
def _experiment(
    scenario: Scenario,
    progress: Progress,
    checkpoints: Checkpoints | None,
    events: Events,
    holding: AbstractContextManager[None],
    resumes: bool,
    population: Population | None = None,
) -> Iterator[Experiment]:
    """population: who takes part, if that is known already. holding: entered when the input has been checked,
    and left when no process of the run is left."""
    if scenario.results.users == "parquet":
        need_pyarrow()
    if scenario.model.central:
        central = Central(scenario, population)
        _show_notes(central.population, progress)
        yield central
        return
    plan = Plan.of(scenario, population)
    _show_notes(plan.population, progress)
    with holding:
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
