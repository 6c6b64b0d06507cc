"""Files that others read: they hold the old content or the new, and an error is one line that names them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fedmf_ray.errors import FedMFError


@contextmanager
def replacing(path: Path, mode: int = 0o666, sync: bool = False) -> Iterator[IO[bytes]]:
    """A file to write beside its place, which takes its name when the block ends without an error.

    mode: of the file, less the umask. sync: it and its new name are on disk when the block has ended.
    Raises OSError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(beside, flags, mode), "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        beside.replace(path)
        if sync:
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # the first error says more
            beside.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Names that were made in a folder are on disk on return."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes | str, sync: bool = False) -> None:
    """A whole file. Raises :class:`FedMFError` if it cannot be written; an earlier file stays."""
    with writing(path), replacing(path, sync=sync) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def append(path: Path, content: bytes, size: int | None = None) -> None:
    """Add to the end of a file. size: what it must have before, or somebody else has changed it.

    Raises :class:`FedMFError`. Links are not followed.
    """
    with writing(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o666), "ab") as file:
            if size is not None and file.tell() != size:
                raise FedMFError(
                    f"{path}: has {file.tell()} bytes where the run has written {size}: somebody else has "
                    "changed it: go on with `fedmf-ray resume`"
                )
            file.write(content)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of a block that writes a file into one line."""
    try:
        yield
    except OSError as error:
        raise FedMFError(f"{path}: cannot be written: {error.strerror or error}") from error
