"""Where results go: a folder of this machine, or a URI of any file system that pyarrow knows."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import click

from fedmf_ray.cli import console
from fedmf_ray.errors import FedMFError

results_option = click.option(
    "--results", default="results", show_default=True, metavar="FOLDER|URI",
    help="Where run folders go. A URI (s3://, gs://, file:///) gets a copy when the run has ended.",
)  # fmt: skip


class Destination:
    """Where a command writes (:attr:`folder`), and where its results are in the end (:meth:`deliver`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left: Path | None = None
        """After delivery: a folder with the files that may not leave this machine, or None."""

    def deliver(self, path: Path) -> str:
        """Copy what was written to its place and return that place; ``path`` is inside :attr:`folder`."""
        return str(path)


class _Remote(Destination):
    """A URI: results are written on this machine, and copied once when the run has ended.

    Object stores cannot append to a file, and a run must not fail because the network does.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._files, self._base = _open(self._uri)
        self._delivered = False
        try:  # wrong credentials or a wrong bucket must be found before the run, not after it
            self._files.create_dir(self._base, recursive=True)
        except (OSError, ValueError) as error:
            raise FedMFError(f"{uri}: results cannot be written there: {_one_line(error)}") from error
        super().__init__(Path(tempfile.mkdtemp(prefix="fedmf-results-")))

    def deliver(self, path: Path) -> str:
        self.copy()
        return f"{self._uri}/{path.relative_to(self.folder).as_posix()}"

    def copy(self) -> None:
        """Copy everything that may leave this machine, and remove from this machine what was copied."""
        from pyarrow import fs

        from fedmf_ray.jobs import parcel

        if self._delivered:
            return
        self._delivered = True  # also if it fails: leaving `destination` must not try again
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
                f"what was not copied is in {self.folder}"
            ) from error
        if any(files for _, _, files in os.walk(self.folder)):
            self.left = self.folder
        else:
            shutil.rmtree(self.folder)


@contextmanager
def destination(place: str) -> Iterator[Destination]:
    """The place given by ``--results``.

    For a URI, results are copied when the block ends, also if it ends with an error. What cannot be copied,
    and what may not leave this machine (recorded views), stays in a temporary folder. Raises
    :class:`FedMFError` before any work if nothing can be written to the place, and if the copy fails.
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


def print_place(folder: Path, place: Destination | None = None) -> None:
    """Print where a folder is, after copying it there if ``place`` is a URI."""
    click.echo(place.deliver(folder) if place else folder)
    if place and place.left:
        console.note(f"what observe recorded is not copied: it is in {place.left}")


def _open(uri: str) -> tuple[Any, str]:
    try:
        from pyarrow import fs
    except ImportError:
        raise FedMFError(f"{uri}: results at a URI need pyarrow: pip install pyarrow") from None
    try:
        files, path = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError, NotImplementedError) as error:
        raise FedMFError(f"{uri}: cannot be used for results: {_one_line(error)}") from error
    return files, path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
