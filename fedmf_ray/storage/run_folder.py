"""A run's folder: what was asked, where it ran, a row per round as soon as the round ends, the summary.

    results/<scenario>/<UTC time>-<short hash>/
        scenario.yaml     resolved, every key spelled out
        environment.json  versions, CPU, kernel, users per actor, layout
        rounds.csv        a row per round
        users.csv.gz      a row per user and round
        summary.json      status, final losses, totals, set-up
        events.jsonl      a line per failure that was handled, if there were any
        plots/
        view/             only if the scenario says `observe`: what an adversary saw, for its owner's eyes

Nothing private is in the rest: no rating, no vector, no key.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario.schema import Scenario

_PACKAGES = ("fedmf-ray", "ray", "numpy", "phe", "gmpy2", "pandas", "matplotlib")


def check_writable(results: Path) -> Path:
    """Make the path absolute and refuse, before any work, one that cannot be written."""
    results = results.expanduser().absolute()
    there = next(folder for folder in (results, *results.parents) if os.path.lexists(folder))
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

    def __init__(self, path: Path, scenario: Scenario, environment: Mapping[str, Any]) -> None:
        """A new folder."""
        self.path = path
        try:
            (self.path / "plots").mkdir(parents=True)
            (self.path / "scenario.yaml").write_text(scenario.to_yaml(), encoding="utf-8")
            _write_json(self.path / "environment.json", environment)
        except OSError as error:
            raise FedMFError(f"{self.path}: cannot be written: {error.strerror}") from error

    @classmethod
    def reopen(
        cls, path: Path, first_round: int, scenario: Scenario, environment: Mapping[str, Any]
    ) -> RunFolder:
        """The folder of a run that goes on with a round: what was written from that round on is removed."""
        folder = cls.__new__(cls)
        folder.path = path
        try:
            _keep_rounds(path / "rounds.csv", first_round)
            _keep_rounds(path / "users.csv.gz", first_round)
            (path / "scenario.yaml").write_text(scenario.to_yaml(), encoding="utf-8")
            _write_json(path / "environment.json", environment)
        except OSError as error:
            raise FedMFError(f"{path}: cannot be written: {error.strerror}") from error
        return folder

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Add one line to ``events.jsonl``."""
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def append_round(self, row: Mapping[str, Any], users: Mapping[str, NDArray[Any]]) -> None:
        """Add one row to ``rounds.csv`` and one per user to ``users.csv.gz``; both are on disk on return.

        users: columns, an entry per user; none for an algorithm without users.
        """
        with (self.path / "rounds.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(row)
            writer.writerow(row.values())
        if users:
            # Each round is a gzip member of its own: readers see one file, a killed run loses nothing.
            with (self.path / "users.csv.gz").open("ab") as file:
                header = "" if file.tell() else ",".join(users) + "\n"
                file.write(_gzip((header + _lines(users)).encode()))

    def finish(self, summary: Mapping[str, Any]) -> None:
        _write_json(self.path / "summary.json", summary)


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


def _keep_rounds(path: Path, first_round: int) -> None:
    """Drop the rows of a table from a round on, and a last row that a killed run left half written."""
    if not path.exists():
        return
    column, kept = 0, list[str]()
    for number, line in enumerate(_whole_lines(path)):
        cells = line.rstrip("\n").split(",")
        if number == 0:
            column = cells.index("round")
        elif not cells[column].isdigit() or int(cells[column]) >= first_round:
            break
        kept.append(line)
    content = "".join(kept).encode() if len(kept) > 1 else b""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(_gzip(content) if content and path.suffix == ".gz" else content)
    beside.replace(path)


def _whole_lines(path: Path) -> Iterator[str]:
    """Whole lines, up to where the file ends or is torn."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        try:
            for line in file:
                if not line.endswith("\n"):
                    return
                yield line
        except (EOFError, OSError, zlib.error):
            return


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


def _lines(columns: Mapping[str, NDArray[Any]]) -> str:
    """Columns as lines of CSV. Seconds have six significant digits: the shortest text that a float can be
    read back from takes several times longer to find, which a fast round of many users would feel."""
    fields, varied = [], []
    for column in columns.values():
        code = "%.6g" if column.dtype.kind == "f" else "%s"
        same = len(column) > 0 and bool((column == column[0]).all())  # the basis, the size of a download
        fields.append((code % column[0].item()).replace("%", "%%") if same else code)
        varied += [] if same else [column.tolist()]
    line = ",".join(fields) + "\n"
    count = len(next(iter(columns.values())))
    rows = zip(*varied, strict=True) if varied else itertools.repeat((), count)
    return "".join([line % row for row in rows])


def _gzip(text: bytes) -> bytes:
    """A gzip member. Digits repeat, but hardly in sequences: Huffman alone is faster, and no larger."""
    packer = zlib.compressobj(wbits=31, strategy=zlib.Z_HUFFMAN_ONLY)
    return packer.compress(text) + packer.flush()


def read_json(path: Path) -> dict[str, Any] | None:
    """A file that a run wrote, or None if it was killed before it could."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
