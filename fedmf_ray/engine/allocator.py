"""How a process that hosts users keeps its memory."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB that was freed, instead of handing it back to the system.

    Every group of users needs arrays of the same sizes for a moment. Without this, each is fresh memory that
    the kernel clears first: rounding to the grid then takes four times as long. Elsewhere than on glibc
    nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)  # 32 MB is the most that glibc takes
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Hand back to the system what was freed: making users takes as much memory as they do, in pieces."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim(0)
