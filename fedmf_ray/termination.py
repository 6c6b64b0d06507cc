"""SIGTERM, with which schedulers and `ray job stop` ask a program to end, has the effect of Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: ends a run as Ctrl-C does, with exit code 143 instead of 130."""


class _Handler:
    """Raises once. Some schedulers send SIGTERM again at once, to the group and to the process: a second one
    must not break into what the first has begun, such as writing a checkpoint."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            raise Terminated


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Within the block, SIGTERM raises :class:`Terminated`, so that a run can write its state before it ends;
    further ones are ignored. Blocks within such a block change nothing.

    Without effect outside of the main thread, where Python allows no signal handlers.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or isinstance(before, _Handler):
        yield
        return
    handler = _Handler()
    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is handler:
            signal.signal(signal.SIGTERM, before)


def end_terminated() -> NoReturn:
    """Exit with code 143. What Python and Ray still have to end is not broken off by a further SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)
