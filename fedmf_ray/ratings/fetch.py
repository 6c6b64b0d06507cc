"""Downloads a MovieLens data set into the cache: whole, checked, or not at all."""

from __future__ import annotations

import contextlib
import http.client
import lzma
import os
import struct
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.movielens import DATA_SETS, HEADER, DataSet, data_set, ends_with_a_line

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"

_CHUNK = 1 << 18
_TIMEOUT_S = 30
_MOST_FILES = 1000
_LINE_BYTES = 1 << 16

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and, where the server says it, the total."""


def available() -> dict[str, int]:
    """The data sets that can be fetched, and how many ratings each holds."""
    return {name: entry.ratings for name, entry in DATA_SETS.items()}


def is_here(name: str, cache: Path) -> bool:
    wanted = data_set(name)
    return (cache / wanted.folder / wanted.ratings_file).is_file()


def fetch(name: str, cache: Path, *, base_url: str = GROUPLENS, progress: Progress | None = None) -> Path:
    """Download, check and unpack a data set; returns its folder, at once if it is there already.

    Everything happens in a temporary folder beside the destination, which one rename puts in place.
    Whatever goes wrong, nothing stays behind. Raises :class:`FedMFError` with the reason.
    """
    wanted = data_set(name)
    destination = cache / wanted.folder
    if is_here(name, cache):
        return destination
    if destination.exists():
        raise FedMFError(f"{destination}: exists but holds no {wanted.ratings_file}: move it away first")
    url = _address(base_url) + "/" + wanted.archive
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as folder:
            archive = Path(folder) / wanted.archive
            _download(url, archive, wanted.most_bytes, progress)
            _unpack(archive, Path(folder) / "unpacked", wanted)
            os.replace(Path(folder) / "unpacked" / wanted.folder, destination)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise FedMFError(
            f"{url}: could not be fetched: {reason}; check the connection, or use --mirror"
        ) from error
    except ValueError as error:
        raise FedMFError(f"{base_url}: is no address to download from: {error}") from error
    except OSError as error:
        raise FedMFError(
            f"{cache}: {name} cannot be stored here: {error.strerror or error}; set FEDMF_DATA"
        ) from error
    return destination


def _address(base_url: str) -> str:
    """A folder of this machine is as good a mirror as a web server."""
    try:
        urllib.parse.urlsplit(base_url)
    except ValueError as error:
        raise FedMFError(f"{base_url}: is no address to download from: {error}") from None
    return base_url.rstrip("/") if "://" in base_url else Path(base_url).expanduser().absolute().as_uri()


def _download(url: str, archive: Path, most: int, progress: Progress | None) -> None:
    # Not by pooch: it knows no folder as a mirror, and its progress, log and errors need more code than this.
    with (
        contextlib.closing(urllib.request.urlopen(url, timeout=_TIMEOUT_S)) as response,
        archive.open("wb") as file,
    ):
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        received = 0
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > most:
                raise FedMFError(f"{url}: sends more than the {most} bytes that the data set may have")
            file.write(chunk)
            if progress:
                progress(received, total)
    if total is not None and received != total:
        raise FedMFError(f"{url}: the download broke off after {received} of {total} bytes: try again")


def _unpack(archive: Path, folder: Path, wanted: DataSet) -> None:
    """Unpack only what lies in the data set's own folder, and no more than it has; then count its ratings."""
    try:
        with zipfile.ZipFile(archive) as file:
            members = [
                info
                for info in file.infolist()
                if info.filename.startswith(f"{wanted.folder}/")
                and ".." not in Path(info.filename).parts
                and not info.is_dir()
            ]
            size = sum(info.file_size for info in members)
            if size > wanted.most_bytes or len(members) > _MOST_FILES:
                raise FedMFError(
                    f"{wanted.archive}: unpacks to {len(members)} files of {size} bytes: "
                    f"this is not {wanted.name}"
                )
            for info in members:
                _unpack_member(file, info, folder / info.filename, wanted)
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError
    ) as error:  # RuntimeError: encrypted  # fmt: skip
        raise _broken(wanted, error) from error
    ratings = folder / wanted.folder / wanted.ratings_file
    if not ratings.is_file():
        raise FedMFError(
            f"{wanted.archive}: holds no {wanted.folder}/{wanted.ratings_file}: this is not {wanted.name}"
        )
    with ratings.open("rb") as lines:
        first = lines.readline(_LINE_BYTES).decode(errors="replace").strip()
        count = sum(1 for line in iter(lambda: lines.readline(_LINE_BYTES), b"") if line.strip())
        count += 0 if wanted.header else 1
    known = first == ",".join(HEADER) if wanted.header else first.count(wanted.separator) == 3
    if not known:
        raise FedMFError(f"{wanted.archive}: ratings start with {first[:60]!r}: this is not {wanted.name}")
    if count != wanted.ratings:
        raise FedMFError(
            f"{wanted.archive}: holds {count} ratings where {wanted.name} has {wanted.ratings}: "
            "this is not that data set"
        )
    if not ends_with_a_line(ratings):
        raise FedMFError(f"{wanted.archive}: its last rating has no end: this is not {wanted.name}")


def _unpack_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, wanted: DataSet) -> None:
    """One file, as long as the archive's directory says: reading it checks that and its CRC."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise FedMFError(f"{wanted.archive}: holds {info.filename} twice: try again") from error
    with file, archive.open(info) as packed:
        left = info.file_size
        while chunk := _read_packed(packed, wanted):
            left -= len(chunk)
            if left < 0:
                raise FedMFError(f"{wanted.archive}: {info.filename} is longer than the archive says")
            file.write(chunk)


def _read_packed(packed: IO[bytes], wanted: DataSet) -> bytes:
    try:
        return packed.read(_CHUNK)
    except OSError as error:  # of a decompressor, not of the disk
        raise _broken(wanted, error) from error


def _broken(wanted: DataSet, error: Exception) -> FedMFError:
    return FedMFError(f"{wanted.archive}: the archive is broken ({error}): try again")
