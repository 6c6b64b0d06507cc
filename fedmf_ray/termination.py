"""SIGTERM, with which schedulers and `ray job stop` ask a program to end, has the effect of Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: ends a run as Ctrl-C does, with exit code 143 instead of 130."""


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Within the block, SIGTERM raises :class:`Terminated`, so that a run can write its state before it ends.

    Without effect outside of the main thread, where Python allows no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_terminated(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
