"""Whose a run's state is: the folder that holds its key and its checkpoints belongs to one run folder.

    <folder>/owner    the run folder that it belongs to, and where this folder was made
    <folder>/lock     locked while a process runs it or goes on with it

A run folder says in ``environment.json`` under which name its state is. That file may have been edited or
copied, so what it says is held against ``owner`` before anything is written or removed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import writing
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import CheckpointError, Part
from fedmf_ray.storage.run_folder import read_json

_PARTS = re.compile(r"owner|lock|users|server|\d{8,}|\.owner\.\d+|\.\d{8,}\.\d+")


class Busy(FedMFError):
    """Another process is at work on the run."""


@dataclass(frozen=True)
class Owner:
    """folder: of the run. state: where its state was when it was written."""

    folder: Path
    state: Path


def run_name(state: Path) -> str:
    """What a state is called in ``environment.json``."""
    return "/".join(state.parts[-2:])


def state_of(base: Path, name: object, told_by: Path) -> Path:
    """The folder of a state below the one for all; raises :class:`FedMFError` for a name that leads out of it
    or through a link."""
    if isinstance(name, str) and _is_plain(name):
        state = base / name
        if state.resolve() == base.resolve() / name:
            return state
    raise FedMFError(f"{told_by}: checkpoints: {str(name)[:100]!r} is no name of a run's checkpoints")


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and not {"", ".", ".."} & set(parts) and "\0" not in name


def owner_of(state: Path) -> Owner | None:
    """None if it has none; raises :class:`CheckpointError` if it cannot be read."""
    if not os.access(state, os.R_OK | os.X_OK) and os.path.isdir(state):
        raise CheckpointError(f"{state}: cannot be read: it belongs to somebody else")
    if not os.path.lexists(state / "owner"):
        return None
    try:
        tree = json.loads(checkpoint_files.read(_owner(state)))
        return Owner(Path(tree["folder"]), Path(tree["state"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{state / 'owner'}: is damaged") from error


def names(folder: Path, state: Path) -> bool:
    """Whether a run folder says that this is its state."""
    return read_json(folder / "environment.json").get("checkpoints") == run_name(state)


def check_owner(state: Path, folder: Path) -> None:
    """Raise :class:`FedMFError` if a state belongs to another run folder than this, or is a copy.

    A run folder or a state that was moved is taken for what it was.
    """
    owner = owner_of(state)
    if owner is None:
        raise CheckpointError(f"no checkpoint to go on from ({state})")
    if not _same(owner.folder, folder) and names(owner.folder, state):
        raise FedMFError(
            f"{folder}: is a copy of {owner.folder}, to which the checkpoints belong: go on with that one"
        )
    if not _same(owner.state, state) and os.path.exists(owner.state / "owner"):
        raise FedMFError(f"{state}: is a copy of {owner.state}: go on with that one")


@contextmanager
def held(state: Path, folder: Path) -> Iterator[None]:
    """Within the block no other process works on the run, and its state says that it belongs to a folder.

    Raises :class:`Busy`, and :class:`FedMFError` where nothing can be written or locked.
    """
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise checkpoint_files.unwritable(state, error) from error
    with locked(state / "lock", folder):
        owner = {"folder": str(folder), "state": str(state)}
        checkpoint_files.write(_owner(state), json.dumps(owner).encode())
        yield


@contextmanager
def locked(file: Path, work: Path) -> Iterator[None]:
    """Within the block no other process has the lock. The system releases it when this process ends, however
    it does. work: what it is about. Raises :class:`Busy`, or :class:`FedMFError` without locks."""
    with writing(file):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor, file, work)
        yield
    finally:
        os.close(descriptor)


def in_use(state: Path) -> bool:
    """Whether a process works on the run just now."""
    try:
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        _lock(descriptor, state / "lock", state)
    except FedMFError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(state: Path) -> None:
    """Remove a state, the key too. What is no part of one stays, and so does the folder then."""
    if not os.path.isdir(state) or state.is_symlink() or not is_state(state):
        return
    with locked(state / "lock", state):
        for _ in range(5):  # a worker that is about to end may still write
            shutil.rmtree(state, ignore_errors=True)
            if not state.exists():
                break
            time.sleep(0.1)
    with suppress(OSError):  # of all runs of a scenario, if this was the last
        state.parent.rmdir()


def is_state(folder: Path) -> bool:
    """Whether a folder holds nothing but what a run's state may hold."""
    try:
        return all(_PARTS.fullmatch(name) for name in os.listdir(folder))
    except OSError:  # somebody else's
        return False


@dataclass(frozen=True)
class Abandoned:
    """A state that no run folder names. size: bytes. reason: why it is thought so."""

    folder: Path
    size: int
    reason: str


def abandoned(base: Path, results: Path) -> Iterator[Abandoned]:
    """The states below a folder that belong to no run folder, neither where that was made nor below
    ``results``, and of which no process is at work."""
    told = {str(read_json(file).get("checkpoints")) for file in results.rglob("environment.json")}
    for state in states(base):
        if in_use(state) or not is_state(state) or run_name(state) in told:
            continue
        try:
            owner = owner_of(state)
        except CheckpointError:
            reason = "whose it is cannot be read"
        else:
            if owner is not None and names(owner.folder, state):
                continue
            reason = "of an earlier version, and of a run folder that is not known"
            if owner is not None:
                gone = "does not name it" if owner.folder.is_dir() else "is not there"
                reason = f"its run folder {owner.folder} {gone}"
        yield Abandoned(state, sum(_sizes(state)), reason)


def _sizes(state: Path) -> Iterator[int]:
    for folder, _, files in os.walk(state):
        for name in files:
            with suppress(OSError):  # it has just been removed
                yield os.lstat(os.path.join(folder, name)).st_size


def states(base: Path, scenario: str = "*") -> Iterator[Path]:
    """The states below a folder, of all scenarios or of one."""
    for state in sorted(base.glob(f"{scenario}/*")):
        if state.is_dir() and not state.is_symlink() and not state.parent.is_symlink():
            yield state


def _owner(state: Path) -> Part:
    return Part(state / "owner", f"{run_name(state)} owner")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return one == other


def _lock(descriptor: int, file: Path, work: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise Busy(f"{work}: another process is at work on it: wait until that has ended") from None
        raise FedMFError(
            f"{file}: its file system has no locks ({error.strerror}): choose a folder of another "
            "(FEDMF_STATE, cluster.checkpoint_folder, --results)"
        ) from error
    try:
        there = os.stat(file).st_ino == os.fstat(descriptor).st_ino
    except OSError:
        there = False
    if not there:
        raise Busy(f"{work}: another process has just removed {file}")
