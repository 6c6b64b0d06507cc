"""Peak memory of a process and its descendants. Shared pages are divided among their processes."""

from __future__ import annotations

import threading
from pathlib import Path


def tree(root: int) -> set[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The process name in parentheses may contain anything, so fields are counted from its end.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, new = set(), [root]
    while new:
        process = new.pop()
        found.add(process)
        new += children.get(process, [])
    return found


def pss_gb(process: int) -> float:
    """Proportional set size; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e6


class PeakMemory:
    """A context manager that samples memory in the background; :attr:`gb` is the peak."""

    FIRST_S, INTERVAL_S = 0.05, 1.0
    """Reading the page tables of a gigabyte takes milliseconds; more samples would slow down the measured
    process. The first samples are taken sooner, for tools that end within a second."""

    def __init__(self, process: int) -> None:
        self.gb = 0.0
        self._process, self._ended = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = self.FIRST_S
        while not self._ended.wait(pause):
            self.gb = max(self.gb, sum(map(pss_gb, tree(self._process))))
            pause = min(1.5 * pause, self.INTERVAL_S)
