"""What processes have in memory: byte patterns, looked for in everything that a process could read.

Linux only: it reads ``/proc/PID/maps`` and ``/proc/PID/mem``.
"""

import os
import re

import numpy as np

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)")
_AT_ONCE, _PAGE = 32 << 20, 4096


def obstacle(pid):
    """Why the memory of a process cannot be read here, or None."""
    try:
        with open(f"/proc/{pid}/mem", "rb"):
            return None
    except OSError as error:
        return f"may not read another process's memory here: {error.strerror}"


def held(pid, patterns):
    """Which of the named patterns a process has in its heap, its stacks, and what it shares with others (the
    object store among it). Files on disk that it maps are left out: they are libraries."""
    missing, longest = dict(patterns), max(map(len, patterns.values()))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for first, stop in _regions(pid):
            tail = b""
            for start in range(first, stop, _AT_ONCE):
                data = tail + _read(memory, start, min(_AT_ONCE, stop - start))
                for name in [name for name, it in missing.items() if it in data]:
                    del missing[name]
                tail = data[-longest:]
    return patterns.keys() - missing.keys()


def shares_store(pid):
    """Whether Ray's object store is among what a process maps."""
    with open(f"/proc/{pid}/maps") as maps:
        return "plasma" in maps.read()


def _regions(pid):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            first, stop, rights, inode, path = _REGION.match(line).groups()
            on_disk = inode != "0" and not path.startswith(("/dev/shm", "/memfd:"))
            if "r" in rights and not (on_disk and "w" not in rights) and path not in ("[vvar]", "[vsyscall]"):
                yield int(first, 16), int(stop, 16)


def _read(memory, start, count):
    """Without pages of zeros, most of which were never used."""
    try:
        data = os.pread(memory.fileno(), count, start)
    except OSError:
        return b""  # reserved only
    pages = np.frombuffer(data[: len(data) // _PAGE * _PAGE], np.uint64).reshape(-1, _PAGE // 8)
    return pages[pages.any(axis=1)].tobytes()


def spellings(name, number):
    """How a large number may lie in memory: bytes in both orders, and digits of Python's own integers."""
    size = -(-number.bit_length() // 8)
    digits = [(number >> at) & (2**30 - 1) for at in range(0, number.bit_length(), 30)]
    return {
        f"{name}, little endian": number.to_bytes(size, "little"),
        f"{name}, big endian": number.to_bytes(size, "big"),
        f"{name}, Python's digits": b"".join(digit.to_bytes(4, "little") for digit in digits),
    }
