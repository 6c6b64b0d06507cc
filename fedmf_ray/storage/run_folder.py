"""A run's folder: what was asked, where it ran, a row per round as soon as the round ends, the summary.

    results/<scenario>/<UTC time>-<short hash>/
        scenario.yaml     resolved, every key spelled out
        environment.json  versions, CPU, kernel, users per actor, layout
        rounds.csv        a row per round
        users.csv.gz      a row per user and round, or users/, a Parquet file per round
        summary.json      status, final losses, totals, set-up
        events.jsonl      a line per failure that was handled, if there were any
        plots/
        view/             only if the scenario says `observe`: what an adversary saw, for its owner's eyes

Nothing private is in the rest: no rating, no vector, no key.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import append, sync_folder, write, writing
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.storage.run_tables import Mark, RunTables, as_json

_PACKAGES = ("fedmf-ray", "ray", "numpy", "phe", "gmpy2", "pandas", "matplotlib")


def check_writable(results: Path) -> Path:
    """Make the path absolute and refuse, before any work, one that cannot be written."""
    results = results.expanduser().absolute()
    there = next(folder for folder in (results, *results.parents) if os.path.lexists(folder))
    try:
        os.lstat(results)
    except (FileNotFoundError, NotADirectoryError):  # the first is as it should be, the second is told below
        pass
    except OSError as error:  # a name that is too long
        raise FedMFError(
            f"{results}: results cannot be written here: {error.strerror}; use --results"
        ) from error
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise FedMFError(
            f"{results}: results cannot be written here ({there} is not a writable folder); use --results"
        )
    return results


def new_path(results: Path, scenario: Scenario) -> Path:
    """Where a run of this scenario that starts now goes; no two runs share one."""
    now = datetime.now(timezone.utc)
    salt = f"{scenario.to_yaml()}{now.isoformat()}{os.getpid()}".encode()
    return results / scenario.name / f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(salt).hexdigest()[:8]}"


class RunFolder:
    """Writes one run. Make it only when everything that can be wrong with the input has been checked."""

    def __init__(self, path: Path, tables: RunTables) -> None:
        self.path, self._tables = path, tables

    @classmethod
    def create(
        cls, path: Path, tables: RunTables, scenario: Scenario, environment: Mapping[str, Any]
    ) -> RunFolder:
        """A new folder, which appears under its name when it is whole. Raises :class:`FedMFError`."""
        beside = path.with_name(f".{path.name}")
        try:
            with writing(path):
                (beside / "plots").mkdir(parents=True)
                _describe(beside, scenario, environment)
                beside.rename(path)
                sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return cls(path, tables)

    @classmethod
    def reopen(
        cls, path: Path, tables: RunTables, mark: Mark, scenario: Scenario, environment: Mapping[str, Any]
    ) -> RunFolder:
        """The folder of a run that goes on from a checkpoint: what was written after it is removed."""
        tables.cut(mark)
        _describe(path, scenario, environment)
        return cls(path, tables)

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Add one line to ``events.jsonl``."""
        append(self.path / "events.jsonl", (json.dumps(event) + "\n").encode())

    def append_round(
        self, row: Mapping[str, Any], users: Mapping[str, NDArray[Any]], parquet: bool = False
    ) -> None:
        """Add the row of a round, and one per user: :meth:`RunTables.append`."""
        self._tables.append(row, users, parquet)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write how it ended; raises :class:`FedMFError`."""
        _write_json(self.path / "summary.json", summary)


def check_own_files(path: Path) -> None:
    """Raise :class:`FedMFError` if something in a run folder leads out of it."""
    for entry in path.iterdir():
        if entry.is_symlink():
            raise FedMFError(f"{entry}: is a link: a run folder holds its own files")


def environment(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Where a run took place: revision, versions, CPU, plus what the caller knows."""
    from fedmf_ray.schemes.paillier import kernels

    return {
        "git_revision": git_revision(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "kernel": kernels.description(),
        **extra,
    }


def _describe(path: Path, scenario: Scenario, environment: Mapping[str, Any]) -> None:
    write(path / "scenario.yaml", scenario.to_yaml(), sync=True)
    _write_json(path / "environment.json", environment, sync=True)


def _version(package: str) -> str | None:
    """None if it is not installed: a serial run needs no Ray."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Of the checkout that this package is imported from, with ``-dirty`` if it has changes.

    A job has a copy of the code without its history: FEDMF_REVISION says where the copy was made.
    """
    if told := os.environ.get("FEDMF_REVISION"):
        return told
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def read_json(path: Path) -> dict[str, Any]:
    """A file that a run wrote; empty if it was killed before it could, or if it holds no keys."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, value: Mapping[str, Any], sync: bool = False) -> None:
    write(path, json.dumps(as_json(value), indent=2, allow_nan=False) + "\n", sync)
