"""SIGTERM, which is how schedulers and `ray job stop` ask a program to end, treated like Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a run as Ctrl-C does, with an exit code of its own (143)."""


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM raises :class:`Terminated` here, so that a run that is told to end can save itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_it(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
