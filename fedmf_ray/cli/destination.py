"""Where results go: a folder of this machine, or any URI that pyarrow's file systems know."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs import parcel


class Destination:
    """``folder`` is where to write; :meth:`deliver` says where it is for others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left: Path | None = None
        """After delivery: a folder that keeps what may not leave this machine."""

    def deliver(self, path: Path) -> str:
        """Bring what was written to its place and return that place; ``path`` is inside :attr:`folder`."""
        return str(path)


class _Remote(Destination):
    """Written here first, copied once: object stores know no appending, and a run outlives its network."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._files, self._base = _open(self._uri)
        self._delivered = False
        try:  # bad credentials or a wrong bucket should cost no run
            self._files.create_dir(self._base, recursive=True)
        except (OSError, ValueError) as error:
            raise FedMFError(f"{uri}: results cannot be written there: {_one_line(error)}") from error
        super().__init__(Path(tempfile.mkdtemp(prefix="fedmf-results-")))

    def deliver(self, path: Path) -> str:
        self.copy()
        return f"{self._uri}/{path.relative_to(self.folder).as_posix()}"

    def copy(self) -> None:
        """Copy everything that may leave this machine; what arrived is removed here."""
        from pyarrow import fs

        if self._delivered:
            return
        self._delivered = True  # tried: not a second time on the way out of the same error
        here = fs.LocalFileSystem()
        try:
            for name in parcel.contents(self.folder):
                target = str(PurePosixPath(self._base) / name)
                self._files.create_dir(str(PurePosixPath(target).parent), recursive=True)
                fs.copy_files(str(self.folder / name), target, here, self._files)
                (self.folder / name).unlink()
        except (OSError, ValueError) as error:
            raise FedMFError(
                f"{self._uri}: results cannot be copied there: {_one_line(error)}; "
                f"what is missing there is in {self.folder}"
            ) from error
        if any(files for _, _, files in os.walk(self.folder)):
            self.left = self.folder
        else:
            shutil.rmtree(self.folder)


@contextmanager
def destination(place: str) -> Iterator[Destination]:
    """The place that a person named with ``--results``.

    A URI gets its copy on leaving, whatever ends the run; what cannot be copied, and what may not leave this
    machine (recorded views), stays in a temporary folder. Raises :class:`FedMFError` before any work if the
    place is unknown or refuses, and if the copy fails.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", place):
        yield Destination(Path(place).expanduser().absolute())
        return
    remote = _Remote(place)
    try:
        yield remote
    finally:
        if remote.folder.exists():
            remote.copy()


def _open(uri: str) -> tuple[Any, str]:
    try:
        from pyarrow import fs
    except ImportError:
        raise FedMFError(f"{uri}: results at a URI need pyarrow: pip install pyarrow") from None
    try:
        files, path = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError, NotImplementedError) as error:
        raise FedMFError(f"{uri}: is no place for results: {_one_line(error)}") from error
    return files, path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
