"""Memory that the users' processes of a machine share, and that nobody else maps.

A key-holder may have tens of megabytes of tables. Ray's object store would share one copy per machine, but
servers map that store. A vault is an anonymous file in memory (``memfd_create``) instead: it has no name in
any folder, cannot be written to any more, and is gone with the last process that has it open. Where there is
none (not Linux, another container), each process has a copy of its own.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_LEAST_BYTES = 1 << 20
"""Less is not worth sharing."""

_ALIGNMENT = 64
"""Arrays begin with a cache line."""

_SEAL_FUTURE_WRITE = 0x10  # ``fcntl`` has no name for it
_FIXED = _SEAL_FUTURE_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
"""Nobody can write from now on. A vault was never mapped for writing, so this is as much as ``F_SEAL_WRITE``,
which Linux refuses whenever something else of the system (a splice, a page on the move) holds one of its
pages."""


class Place(NamedTuple):
    """Where a vault can be found. machine: where its paths mean something. path: empty without a vault."""

    machine: str
    path: str = ""


def this_machine() -> str:
    """Names the machine, and within it the container, whose processes see each other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{os.uname().nodename} {os.getpid()}"  # a machine of its own: nothing is shared


class Vault:
    """Buffers in the order in which they were put in."""

    def __init__(self, descriptor: int, sizes: Sequence[int]) -> None:
        self._file: Any = os.fdopen(descriptor, "rb", buffering=0)  # closed with this object
        self.path = f"/proc/{os.getpid()}/fd/{descriptor}"
        mapped = memoryview(mmap.mmap(descriptor, _starts(sizes)[-1], prot=mmap.PROT_READ))
        starts = _starts(sizes)[:-1]
        self.buffers = [mapped[start : start + size] for start, size in zip(starts, sizes, strict=True)]

    @classmethod
    def make(cls, name: str, buffers: Sequence[memoryview]) -> Vault | None:
        """Put buffers into a new one, if they are large and this system can."""
        sizes = [buffer.nbytes for buffer in buffers]
        if sum(sizes) < _LEAST_BYTES or not hasattr(os, "memfd_create"):
            return None
        try:
            descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return None  # a container may not allow it
        try:
            os.ftruncate(descriptor, _starts(sizes)[-1])
            for start, buffer in zip(_starts(sizes), buffers, strict=False):
                written = 0
                while written < buffer.nbytes:
                    written += os.pwrite(descriptor, buffer[written:], start + written)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _FIXED)
        except OSError:
            os.close(descriptor)  # no memory, a limit on sizes of files, a Linux before 5.1
            return None
        return cls(descriptor, sizes)

    @classmethod
    def find(cls, name: str, sizes: Sequence[int], places: Sequence[Place]) -> Vault | None:
        """The one of this name and content that another process of this machine has made, if it lives."""
        here = this_machine()
        for place in places:
            if not place.path or place.machine != here:
                continue
            try:
                descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # that process is gone, or this one may not look at it
            # A number of a process may be given out again; a name that outsiders cannot guess is not.
            is_it = os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"/memfd:{name} ")
            if is_it and os.fstat(descriptor).st_size == _starts(sizes)[-1]:
                return cls(descriptor, sizes)
            os.close(descriptor)
        return None


def _starts(sizes: Sequence[int]) -> list[int]:
    """Where each buffer begins, and where the last one ends."""
    starts = [0]
    for size in sizes:
        starts.append(-(-(starts[-1] + size) // _ALIGNMENT) * _ALIGNMENT)
    return starts
