"""Amounts as people read them: one notation for seconds and bytes on every screen."""

from __future__ import annotations

import math
import time


def size(amount: float) -> str:
    """Bytes in powers of 1,000, as in ``45.1 kB``."""
    power = min(5, int(math.log10(max(amount, 1)) / 3))
    return f"{digits(amount / 1000**power)} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def duration(seconds: float) -> str:
    """Microseconds to hours, as in ``2.5 min``, with three digits."""
    if seconds >= 7200:
        return f"{seconds / 3600:,.1f} h"
    if seconds >= 120:
        return f"{digits(seconds / 60)} min"
    if seconds >= 1 or seconds == 0:
        return f"{digits(seconds)} s"
    return f"{digits(1e3 * seconds)} ms" if seconds >= 1e-3 else f"{digits(1e6 * seconds)} µs"


def digits(value: float, count: int = 3) -> str:
    """A number with so many significant digits and never an exponent: ``0.0513``, ``1,230``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    decimals = max(0, count - 1 - math.floor(math.log10(abs(value))))
    text = f"{round(value, count - 1 - math.floor(math.log10(abs(value)))):,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class TimeLeft:
    """How long something takes that is done piece by piece, from the mean of the pieces so far."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int, latest_s: float | None = None) -> float | None:
        """Seconds left; None while nothing is known.

        done: of ``total``, those of an earlier process too. latest_s: how long the latest piece took, if
        this is the first that ends here.
        """
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now) if latest_s is None else (done - 1, now - latest_s)
        pieces, seconds = done - self._first[0], now - self._first[1]
        return seconds / pieces * max(0, total - done) if pieces else None


def left(seconds: float | None) -> str:
    """``3.5 min left``; nothing while that is not known."""
    return "" if seconds is None else f"{duration(round(seconds))} left"
