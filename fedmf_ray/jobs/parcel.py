"""A run folder as lines of text, and back: results are fetched through the log of a job.

A cluster's job service takes code and returns logs, nothing else. So a small job prints the packed folder
(``python -m fedmf_ray.jobs.parcel FOLDER``), and the client reads it from that job's log. This module imports
the standard library only, so that it runs on a cluster whose Python has no other packages.

Only the files that :func:`transferable` accepts are packed: tables, settings and pictures. Keys, checkpoints
and recorded views (``view/``) stay where they are.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

LARGEST_BYTES = 250 * 10**6
"""The largest packed folder. Run folders are far smaller, and a log should not hold more."""

MARK = "fedmf-parcel"
_LINE_BYTES = 48 * 1024  # 64 KiB of text: a log is followed line by line, and one message holds at most 4 MiB
_KINDS = (".csv", ".csv.gz", ".parquet", ".json", ".jsonl", ".yaml", ".png", ".svg", ".html")


def transferable(path: PurePosixPath) -> bool:
    """Whether a file of a results folder may leave its machine; ``path`` is relative to that folder."""
    ordinary = not path.is_absolute() and not any(part == "view" or part[0] == "." for part in path.parts)
    return ordinary and path.name.endswith(_KINDS)


def contents(folder: Path) -> list[PurePosixPath]:
    """The transferable files of a folder, relative to it and sorted; links are not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    relative = sorted(PurePosixPath(path.relative_to(folder).as_posix()) for path in files)
    return [path for path in relative if transferable(path)]


def pack(folder: Path) -> Iterator[str]:
    """The lines of a folder: ``fedmf-parcel BYTES SHA256``, base64, ``fedmf-parcel end``.

    An empty or missing folder, and one over :data:`LARGEST_BYTES`, is the first line alone.
    """
    names = contents(folder)
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            for name in names:
                archive.add(folder / name, arcname=str(name), recursive=False)
        size = file.tell() if names else 0
        file.seek(0)
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        yield f"{MARK} {size} {digest.hexdigest()}"
        if not 0 < size <= LARGEST_BYTES:
            return
        file.seek(0)
        while block := file.read(_LINE_BYTES):
            yield base64.b64encode(block).decode()
    yield f"{MARK} end"


class Unpacker:
    """Collects a packed folder from the lines of a job's log; lines of other programs are ignored."""

    def __init__(self, file: IO[bytes]) -> None:
        """file: an empty file of the caller's, to which the archive is written."""
        self._file = file
        self._digest = hashlib.sha256()
        self._expected = ""
        self._open = False
        self.size: int | None = None
        """Bytes of the packed folder as its first line says; None before that line."""
        self.complete = False

    def line(self, text: str) -> None:
        if text.startswith(MARK):
            words = text.split()
            self._open = len(words) == 3
            if self._open:
                self.size, self._expected = int(words[1]), words[2]
            else:
                self.complete = self._digest.hexdigest() == self._expected
        elif self._open:
            try:
                block = base64.b64decode(text)
            except ValueError:  # another program's line, or a damaged one: the digest will not match
                return
            self._digest.update(block)
            self._file.write(block)

    def unpack(self, target: Path) -> list[PurePosixPath]:
        """Write the files below ``target`` and return their relative paths.

        Raises ValueError if the archive is damaged, or holds anything but transferable plain files.
        """
        if not self.complete:
            raise ValueError("it arrived damaged")
        self._file.seek(0)
        names = []
        with tarfile.open(fileobj=self._file, mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not (member.isreg() and transferable(name) and ".." not in name.parts):
                    raise ValueError(f"it holds {member.name!r}, which is no part of a run folder")
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None  # extractfile returns None only for what is not a regular file
                with (target / name).open("xb") as file:
                    while block := source.read(1 << 20):
                        file.write(block)
                names.append(name)
        return names


if __name__ == "__main__":
    for words in pack(Path(sys.argv[1])):
        print(words)
