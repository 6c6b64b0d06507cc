"""Tables that a person handed over in Python, as files on the users' side.

    <state folder>/frames/<kind>-<digest>.csv       what was handed over (mode 0600)
    <state folder>/frames/<kind>-<digest>.csv.runs  a line per run folder that was to read it

The name of a file is a digest of its content: equal tables are one file, and a run that goes on reads what it
began with. ``fedmf-ray clean`` removes those that no run folder names.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing
from fedmf_ray.storage.checkpoints import state_folder

_NAME = re.compile(r"[a-z]+-[0-9a-f]{32}\.csv")
_SETTINGS = ("scenario.yaml", "study.yaml")


def frames_folder() -> Path:
    """Where they are."""
    return state_folder() / "frames"


def check_outside(results: Path) -> None:
    """Raise :class:`FedMFError` if ratings would be written among the results, which are shared."""
    folder = frames_folder()
    if folder.resolve().is_relative_to(results.expanduser().absolute().resolve()):
        raise FedMFError(
            f"FEDMF_STATE: {folder} is inside the results ({results}), and would hold ratings there: choose "
            "another folder"
        )


def keep(kind: str, content: bytes) -> Path:
    """The file with this content, written unless it is there. kind: a word, ``ratings``.

    Raises :class:`FedMFError` if it cannot be written.
    """
    path = frames_folder() / f"{kind}-{hashlib.sha256(content).hexdigest()[:32]}.csv"
    try:
        if path.is_file() and path.read_bytes() == content:
            return path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(path, 0o600, sync=True) as file:
            file.write(content)
    except OSError as error:
        raise FedMFError(
            f"{path}: cannot be written: {error.strerror}: set FEDMF_STATE to a folder that can"
        ) from error
    return path


@contextmanager
def named_by(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """A run folder, which need not exist yet, is to read these files; within the block they are in use."""
    with ExitStack() as held:
        for file in files:
            descriptor = os.open(_runs(file), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            held.callback(os.close, descriptor)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.write(descriptor, f"{folder.expanduser().absolute()}\n".encode())
        yield


@dataclass(frozen=True)
class AbandonedFrame:
    """A file that no run folder names. size: bytes. reason: why it is thought so."""

    file: Path
    size: int
    reason: str


def abandoned_frames(results: Path) -> Iterator[AbandonedFrame]:
    """The files that are named neither by a run folder for which they were written nor by one below
    ``results``, and that no process uses."""
    files = [file for file in sorted(frames_folder().glob("*.csv")) if _NAME.fullmatch(file.name)]
    if not files:
        return
    below = [_text(path) for name in _SETTINGS for path in results.rglob(name)]
    for file in files:
        if _in_use(file) or any(file.name in text for text in below):
            continue
        folders = [Path(line) for line in _text(_runs(file)).splitlines()]
        if any(file.name in _text(folder / name) for folder in folders for name in _SETTINGS):
            continue
        reason = "no run folder names it"
        if folders:
            gone = "does not name it" if folders[-1].is_dir() else "is not there"
            reason = f"its run folder {folders[-1]} {gone}"
        yield AbandonedFrame(file, file.stat().st_size, reason)


def remove_frame(file: Path) -> None:
    """Remove a file of this kind."""
    if _NAME.fullmatch(file.name):
        for path in (file, _runs(file)):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _runs(file: Path) -> Path:
    return file.with_name(f"{file.name}.runs")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _in_use(file: Path) -> bool:
    try:
        descriptor = os.open(_runs(file), os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
