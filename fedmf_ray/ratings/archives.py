"""The bytes of a ratings file, unpacked as they are read; what a file is, its content says, not its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.names import shortened

HEAD_BYTES = 1 << 16

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PAR1": "Parquet",
    b"PARE": "encrypted Parquet",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
}
_SUFFIXES = {
    ".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".tbz2": "bzip2", ".xz": "xz", ".txz": "xz",
    ".zst": "Zstandard", ".zip": "zip", ".tar": "tar", ".parquet": "Parquet", ".7z": "7-Zip", ".rar": "RAR",
}  # fmt: skip
_STREAMS = ("gzip", "bzip2", "xz", "Zstandard")

_FAULTS = (
    OSError, EOFError, ValueError, RuntimeError, MemoryError, ImportError, zlib.error, lzma.LZMAError,
    struct.error, tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
"""What the libraries raise for broken, cut and encrypted archives; NotImplementedError is a RuntimeError."""


def kind_of(head: bytes) -> str:
    """What content starts like this; ``text`` for anything unknown."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return "tar" if head[257:262] == b"ustar" else "text"


def kind_of_file(path: Path) -> str:
    """The kind of a file's content; raises :class:`FedMFError` if its name says another one."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise FedMFError(f"{path}: cannot be read: {error.strerror or error}") from error
    kind, told = kind_of(head), _SUFFIXES.get(path.suffix.lower())
    if not head:
        raise FedMFError(f"{path}: cannot be read: it is empty")
    if kind == "text" and told is not None:
        start = shortened(head[:40].decode(errors="replace"))
        raise FedMFError(f"{path}: cannot be read: it is no {told} file, it starts with {start}")
    if kind in ("7-Zip", "RAR", "encrypted Parquet"):
        raise FedMFError(f"{path}: cannot be read: it is {kind}: unpack it first")
    return kind


class Unpacked:
    """A stream of bytes of which the head can be seen before it is read."""

    def __init__(self, path: Path, kind: str, stream: IO[bytes]) -> None:
        self._path, self._kind, self._stream = path, kind, stream
        self.head = b""
        while len(self.head) < HEAD_BYTES and (more := self._read(HEAD_BYTES - len(self.head))):
            self.head += more
        self._unread = self.head

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; none at the end."""
        if self._unread:
            size = len(self._unread) if size < 0 else size
            first, self._unread = self._unread[:size], self._unread[size:]
            return first
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except _FAULTS as error:
            raise broken(self._path, self._kind, error) from error


def broken(path: Path, kind: str, error: BaseException) -> FedMFError:
    """One line that says what is wrong with an archive."""
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    what = "" if kind == "text" else f"the {kind} archive is broken or cut off: "
    return FedMFError(f"{path}: cannot be read: {what}{reason}")


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """The one table in a file, unpacked on the way; raises :class:`FedMFError` with the real cause."""
    kind = kind_of_file(path)
    with ExitStack() as stack:
        stream: Any
        try:
            stream = stack.enter_context(_opened(path, kind))
        except _FAULTS as error:
            raise broken(path, kind, error) from error
        inside = Unpacked(path, kind, stream)
        if kind_of(inside.head) == "tar":
            inside = _member_of_tar(path, inside, stack)
        if kind != "text" and (held := kind_of(inside.head)) != "text":
            raise FedMFError(f"{path}: cannot be read: the {kind} file holds a {held} file: unpack it first")
        yield inside


def _opened(path: Path, kind: str) -> Any:
    if kind == "gzip":
        return gzip.open(path)
    if kind == "bzip2":
        return bz2.open(path)
    if kind == "xz":
        return lzma.open(path)
    if kind == "Zstandard":
        return _zstandard(path)
    return _member_of_zip(path) if kind == "zip" else path.open("rb")


def _zstandard(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise FedMFError(f"{path}: Zstandard needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
    return pyarrow.input_stream(str(path), compression="zstd")


@contextmanager
def _member_of_zip(path: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        if "xl/workbook.xml" in names:
            raise FedMFError(f"{path}: cannot be read: it is an Excel workbook: save the sheet as CSV")
        member = archive.getinfo(_only(path, [name for name in names if not name.startswith("__MACOSX/")]))
        if member.flag_bits & 1:
            raise FedMFError(f"{path}: cannot be read: the zip archive is encrypted: unpack it first")
        with archive.open(member) as file:
            yield file


def _member_of_tar(path: Path, outer: Unpacked, stack: ExitStack) -> Unpacked:
    try:
        archive = stack.enter_context(tarfile.open(fileobj=cast(Any, outer), mode="r|"))  # noqa: SIM115
        member = archive.next()
        while member is not None and not member.isfile():
            member = archive.next()
        if member is None:
            raise _only_one(path, [])
        stream = archive.extractfile(member)
    except _FAULTS as error:
        raise broken(path, "tar", error) from error
    assert stream is not None
    return Unpacked(path, "tar", cast(IO[bytes], _Sole(path, archive, member.name, stream, outer)))


class _Sole:
    """The member of a tar archive, which must be its only file: that is known at its end."""

    def __init__(
        self, path: Path, archive: tarfile.TarFile, name: str, stream: IO[bytes], outer: Unpacked
    ) -> None:
        self._path, self._archive, self._name, self._stream = path, archive, name, stream
        self._outer, self._ended = outer, False

    def read(self, size: int) -> bytes:
        data = b"" if self._ended else self._stream.read(size)
        if not data and not self._ended:
            self._ended = True
            while (other := self._archive.next()) is not None:
                if other.isfile():
                    raise _only_one(self._path, [self._name, other.name])
            while self._outer.read(HEAD_BYTES):  # the checksum of what the archive is packed in
                pass
        return data


def _only(path: Path, names: list[str]) -> str:
    if len(names) != 1:
        raise _only_one(path, names)
    return names[0]


def _only_one(path: Path, names: list[str]) -> FedMFError:
    shown = ", ".join(map(shortened, names[:3]))
    held = f"more than one file ({shown}{', ...' if len(names) > 3 else ''})" if names else "no file"
    return FedMFError(f"{path}: cannot be read: the archive holds {held}: unpack the table and name it")
