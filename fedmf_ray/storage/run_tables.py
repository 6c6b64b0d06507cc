"""The tables of a run: they only grow, and every checkpoint says how they begin.

A row is written when its round ends. A checkpoint carries the size and the SHA-256 of both tables as they
were when it opened, and counts only when they are on disk. So a run that goes on keeps exactly the rows
before its checkpoint: what follows them is cut off and computed again, and tables that do not begin with them
are refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import append, sync_folder, writing
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.parquet_rounds import RoundFiles

ROUNDS, USERS, USER_FILES = "rounds.csv", "users.csv.gz", "users"

_NONE = [0, hashlib.sha256().hexdigest()]
"""Of a table without rows."""

Mark = dict[str, Any]
"""How the tables were when a round opened: ``rows``, ``files`` (name to size and SHA-256), ``last`` (the
latest row as JSON has it)."""


class RunTables:
    """``rounds.csv``, and ``users.csv.gz`` or the folder ``users`` of one run folder, which need not exist
    before the first row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables = {name: _Table(folder / name) for name in (ROUNDS, USERS)}
        self._user_files = RoundFiles(folder / USER_FILES)
        self._grown: dict[str, _Table | RoundFiles] = {**self._tables, USER_FILES: self._user_files}
        self._known: dict[int, Mark] = {0: self._now(0, None)}
        self.rows = 0

    def append(
        self, row: Mapping[str, Any], users: Mapping[str, NDArray[Any]], parquet: bool = False
    ) -> None:
        """Add one row to ``rounds.csv`` and one per user to ``users.csv.gz``, or as Parquet to ``users``.

        users: columns, an entry per user; none for an algorithm without users. Raises :class:`FedMFError` if
        it is not the next row, or cannot be written.
        """
        if row["round"] != self.rows:
            raise FedMFError(f"{self._folder / ROUNDS}: the row of round {self.rows} is missing")
        if users and parquet:
            self._user_files.append(self.rows, users)
        elif users:
            table = self._tables[USERS]
            header = "" if table.size else ",".join(users) + "\n"
            # Each round is a gzip member of its own: readers see one file, a killed run loses nothing.
            table.append(_gzip((header + _lines(users)).encode()))
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if not self._tables[ROUNDS].size:
            writer.writerow(row)
        writer.writerow(row.values())
        self._tables[ROUNDS].append(text.getvalue().encode())
        self.rows += 1
        self._known[self.rows] = self._now(self.rows, as_json(dict(row)))

    def errors(self) -> list[tuple[int, float]]:
        """The number of each round that is written, and its ``test_rmse`` (NaN if nothing was held out), to
        the last bit."""
        path = self._folder / ROUNDS
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [(int(row["round"]), float(row["test_rmse"] or "nan")) for row in csv.DictReader(file)]

    def mark(self, rows: int) -> Mark:
        """How the tables were with so many rows. Raises :class:`CheckpointError` if they never were."""
        if rows not in self._known:
            raise CheckpointError(f"{self._folder / ROUNDS}: does not hold the rows of all rounds yet")
        return self._known[rows]

    def forget(self, rows: int) -> None:
        """No checkpoint before this one will be written or read any more."""
        self._known = {number: mark for number, mark in self._known.items() if number >= rows}

    def sync(self) -> None:
        """Every row is on disk on return. Raises :class:`CheckpointError`."""
        try:
            changed = [table.sync() for table in self._grown.values()]
            if any(changed):
                sync_folder(self._folder)
        except OSError as error:
            raise CheckpointError(f"{self._folder}: cannot be written: {error.strerror}") from error

    def check(self, mark: Mark) -> None:
        """Raise :class:`CheckpointError` unless the tables begin as a checkpoint says."""
        for name, table in self._tables.items():
            table.digest_of(mark, name)
        self._user_files.digest_of(*_marked(mark, USER_FILES), mark["rows"])

    def cut(self, mark: Mark) -> None:
        """Go on from a checkpoint: what follows its rows is removed. Raises :class:`FedMFError`."""
        for name, table in self._tables.items():
            table.cut(mark, name)
        self._user_files.cut(*_marked(mark, USER_FILES), mark["rows"])
        self.rows = mark["rows"]
        self._known = {self.rows: mark}

    def _now(self, rows: int, last: Mapping[str, Any] | None) -> Mark:
        files = {name: [table.size, table.digest.hexdigest()] for name, table in self._grown.items()}
        return {"rows": rows, "files": files, "last": last}


def _marked(mark: Mark, name: str) -> tuple[int, str]:
    """Size and SHA-256 of a table as a checkpoint has them; of one without rows where it has none."""
    size, digest = mark["files"].get(name, _NONE)
    return size, digest


class _Table:
    """A file that grows. size, digest: of what has been written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size, self.digest = 0, hashlib.sha256()
        self._synced = 0

    def append(self, content: bytes) -> None:
        append(self._path, content, self.size)
        self.size += len(content)
        self.digest.update(content)

    def sync(self) -> bool:
        """Whether there was something to sync. Raises OSError."""
        if self._synced == self.size:
            return False
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._synced = self.size
        return True

    def digest_of(self, mark: Mark, name: str) -> Any:
        """The digest object of the bytes up to a mark; raises :class:`CheckpointError` if it is another."""
        size, expected = _marked(mark, name)
        digest, left = hashlib.sha256(), size
        try:
            if size:
                with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                    while left and (block := file.read(min(left, 1 << 20))):
                        digest.update(block)
                        left -= len(block)
        except OSError as error:
            raise CheckpointError(f"{self._path}: cannot be read: {error.strerror}") from error
        if left or digest.hexdigest() != expected:
            raise CheckpointError(
                f"{self._path}: the rows of rounds 0 to {mark['rows'] - 1} are not as the run wrote them: "
                "put the file back, or run the scenario again"
            )
        return digest

    def cut(self, mark: Mark, name: str) -> None:
        self.digest = self.digest_of(mark, name)
        self.size = self._synced = size = _marked(mark, name)[0]
        with writing(self._path):
            if not size:
                self._path.unlink(missing_ok=True)
            elif self._path.stat().st_size > size:
                os.truncate(self._path, size)


def as_json(value: Any) -> Any:
    """JSON has no NaN: a loss without a test set, or a measure of lists without a relevant item, is null."""
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


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
