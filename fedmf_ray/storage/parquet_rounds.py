"""Rows of users as Parquet: a file a round, in a folder that any reader of Parquet takes as one table."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import append, sync_folder, writing
from fedmf_ray.storage.checkpoint_files import CheckpointError

SUFFIX = ".parquet"


def need_pyarrow() -> None:
    """Raises :class:`FedMFError` where Parquet cannot be written or read."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise FedMFError("results.users: parquet needs pyarrow: pip install 'fedmf-ray[parquet]'") from None


class RoundFiles:
    """Grows by a file a round, named by its number. size, digest: of all that have been written, one after
    the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.size, self.digest = 0, hashlib.sha256()
        self._unsynced: list[Path] = []

    def append(self, number: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Raises :class:`FedMFError` if it cannot be written."""
        content, path = _parquet(columns), self._file(number)
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        append(path, content, 0)
        self.size += len(content)
        self.digest.update(content)
        self._unsynced.append(path)

    def sync(self) -> bool:
        """Whether there was something to sync. Raises OSError."""
        for path in self._unsynced:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if not self._unsynced:
            return False
        sync_folder(self._folder)
        self._unsynced = []
        return True

    def digest_of(self, size: int, expected: str, rows: int) -> Any:
        """The digest object of the files of so many rounds; raises :class:`CheckpointError` unless they are
        as a checkpoint says."""
        digest, found = hashlib.sha256(), 0
        for path in self._files(below=rows) if size else ():
            try:
                with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                    content = file.read()
            except OSError as error:
                raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
            digest.update(content)
            found += len(content)
        if found != size or digest.hexdigest() != expected:
            raise CheckpointError(
                f"{self._folder}: the rows of rounds 0 to {rows - 1} are not as the run wrote them: put the "
                "files back, or run the scenario again"
            )
        return digest

    def cut(self, size: int, expected: str, rows: int) -> None:
        """Remove what follows a checkpoint. Raises :class:`FedMFError`."""
        self.digest, self.size, self._unsynced = self.digest_of(size, expected, rows), size, []
        kept = set(self._files(below=rows)) if size else set[Path]()
        with writing(self._folder):
            for path in set(self._files()) - kept:
                path.unlink()

    def _file(self, number: int) -> Path:
        return self._folder / f"round-{number:06d}{SUFFIX}"

    def _files(self, below: int | None = None) -> Iterator[Path]:
        """In order of rounds."""
        there = sorted(self._folder.glob(f"round-*{SUFFIX}")) if self._folder.is_dir() else []
        last = None if below is None else self._file(below).name
        return (path for path in there if last is None or path.name < last)


def _parquet(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Numbers have all of their bits, where CSV has six digits of seconds."""
    need_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {
        name: pa.array(column.tolist() if column.dtype.kind in "OU" else column)
        for name, column in columns.items()
    }
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression="zstd")
    return file.getvalue()
