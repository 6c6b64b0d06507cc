"""A run folder as lines of text, and back: how results come home through the log of a job.

A cluster's job service moves code up and text down, and nothing else. So a small job packs the folder
into lines (``python -m fedmf_ray.jobs.parcel FOLDER``) and the client reads them as that job's log. This
module needs the standard library alone, so that it runs on a cluster whose Python lacks everything else.

Only what :func:`travels` names is packed: tables, settings and pictures. Keys, checkpoints and recorded
views (``view/``) stay where they are.
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
"""Of a packed folder; run folders are far smaller, and a log is no place for more."""

MARK = "fedmf-parcel"
_LINE_BYTES = 48 * 1024  # 64 KiB of text: a log is followed line by line, and one message holds at most 4 MiB
_KINDS = (".csv", ".csv.gz", ".json", ".jsonl", ".yaml", ".png", ".svg", ".html")


def travels(path: PurePosixPath) -> bool:
    """Whether a file of a results folder may leave its machine; ``path`` is relative to that folder."""
    ordinary = not path.is_absolute() and not any(part == "view" or part[0] == "." for part in path.parts)
    return ordinary and path.name.endswith(_KINDS)


def contents(folder: Path) -> list[PurePosixPath]:
    """The files in a folder that travel, relative to it, in order; links are not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    relative = sorted(PurePosixPath(path.relative_to(folder).as_posix()) for path in files)
    return [path for path in relative if travels(path)]


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
    """Takes the lines of a job's log one by one and gathers the parcel among them.

    Other lines (a job's log opens with Ray's own) are passed over.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """``file`` receives the archive; it is the caller's, and empty."""
        self._file = file
        self._digest = hashlib.sha256()
        self._expected = ""
        self._open = False
        self.size: int | None = None
        """Bytes announced, None before the first line of a parcel."""
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
            except ValueError:  # a stray line; the digest will tell
                return
            self._digest.update(block)
            self._file.write(block)

    def unpack(self, target: Path) -> list[PurePosixPath]:
        """Write the files below ``target`` and return their relative paths.

        Raises ValueError for a parcel that is damaged, or that holds anything but plain files which travel.
        """
        if not self.complete:
            raise ValueError("it arrived damaged")
        self._file.seek(0)
        names = []
        with tarfile.open(fileobj=self._file, mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not (member.isreg() and travels(name) and ".." not in name.parts):
                    raise ValueError(f"it holds {member.name!r}, which is no part of a run folder")
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None  # a regular file has content
                with (target / name).open("xb") as file:
                    while block := source.read(1 << 20):
                        file.write(block)
                names.append(name)
        return names


if __name__ == "__main__":
    for words in pack(Path(sys.argv[1])):
        print(words)
