"""Where the state of a run is, and what a run folder must agree with before its run goes on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.checkpoints import Checkpoints, state_folder
from fedmf_ray.storage.ownership import check_owner, held, names, owner_of, state_of, states
from fedmf_ray.storage.run_folder import read_json
from fedmf_ray.storage.run_tables import RunTables
from fedmf_ray.storage.settings import difference, settings_of


def keeps_state(scenario: Scenario) -> bool:
    """Whether its runs write checkpoints."""
    return scenario.cluster.checkpoint_every != "never" and not scenario.model.central


def all_states(scenario: Scenario) -> Path:
    """The folder below which all its runs keep theirs."""
    chosen = scenario.cluster.checkpoint_folder
    if chosen and not Path(chosen).is_absolute():  # scenario files make it one where they can
        raise FedMFError(f"cluster.checkpoint_folder: {chosen!r} is no absolute path")
    return Path(chosen) if chosen else state_folder() / "checkpoints"


def check_run_folder(path: Path) -> None:
    """Raise :class:`FedMFError` for a folder that no run has written."""
    if not (path / "scenario.yaml").is_file():
        raise FedMFError(f"{path}: is no run folder: a run prints the path of its own when it ends")


def check_outside(scenario: Scenario, results: Path) -> None:
    """Raise :class:`FedMFError` if keys and vectors would be written among the results, which are shared."""
    base = all_states(scenario)
    if keeps_state(scenario) and base.resolve().is_relative_to(results.resolve()):
        key = "cluster.checkpoint_folder" if scenario.cluster.checkpoint_folder else "FEDMF_STATE"
        raise FedMFError(
            f"{key}: {base} is inside the results ({results}), and would hold private keys there: choose "
            "another folder"
        )


def new_state(path: Path, scenario: Scenario, tables: RunTables) -> Checkpoints | None:
    """Of a run that starts now: a folder that no other run has had. None if the scenario wants none."""
    every = scenario.cluster.checkpoint_every
    if every == "never" or scenario.model.central:
        return None
    state = all_states(scenario) / scenario.name / f"{path.name}-{secrets.token_hex(4)}"
    return Checkpoints(state, every, tables, settings_of(scenario))


def checkpoints_of(path: Path, scenario: Scenario, tables: RunTables | None = None) -> Checkpoints | None:
    """Those of a run, by the name that its ``environment.json`` gives them: no two runs share one."""
    every = scenario.cluster.checkpoint_every
    if every == "never" or scenario.model.central:
        return None
    told = read_json(path / "environment.json").get("checkpoints", f"{scenario.name}/{path.name}")
    state = state_of(all_states(scenario), told, path / "environment.json")
    return Checkpoints(state, every, tables, settings_of(scenario))


@contextmanager
def founded(checkpoints: Checkpoints, path: Path) -> Iterator[None]:
    """Within the block a new run holds its state; it is removed if no run folder names it in the end."""
    try:
        with held(checkpoints.folder, path):
            yield
    finally:
        if not names(path, checkpoints.folder):
            checkpoints.clear()


def check_state(checkpoints: Checkpoints, path: Path, scenario: Scenario) -> None:
    """Raise :class:`FedMFError` unless a state belongs to a run folder, which has not been edited since."""
    if owner_of(checkpoints.folder) is None:
        checkpoints.newest()  # says so if it is there, and of an earlier version
    check_owner(checkpoints.folder, path)
    changed = difference(checkpoints.newest().settings, settings_of(scenario))
    if changed:
        raise FedMFError(f"{path / 'scenario.yaml'}: {changed}")


def forget(path: Path, scenario: Scenario) -> None:
    """Remove the states that say that they belong to a run folder, which will not be resumed.

    Raises :class:`Busy` while a process works on the run."""
    if not keeps_state(scenario):
        return
    base = all_states(scenario)
    for state in states(base, scenario.name):
        try:
            owner = owner_of(state)
        except CheckpointError:
            continue  # `fedmf-ray clean` lists it
        if owner is None or owner.folder != path:
            continue
        Checkpoints(state, "auto").clear()
