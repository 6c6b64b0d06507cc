"""Failures of processes: the one place where work is repeated after one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ATTEMPTS = 9
"""A piece of work is repeated so many times at most; then a restart does not help."""


class Lost(Exception):
    """A call failed because a process or a value that it needed is gone: the process died, or its machine."""


class Gone(Lost):
    """What is gone cannot be replaced at this point of the round: the run must go back to a checkpoint."""


def persist(
    work: Callable[[], T],
    mend: Callable[[Lost], object],
    give_up: Callable[[Lost], Exception],
    passing: type[Lost] | None = None,
) -> T:
    """Repeat a piece of work until it ends without a loss.

    work: may be called again, and does not repeat the parts that are done. mend: called with the failure
    before each further attempt, replaces dead processes; it may fail like the work, and counts as an attempt
    then. give_up: turns the last failure into what is raised after :data:`ATTEMPTS` further attempts.
    passing: a kind of failure that is raised at once, for the caller to handle.
    """
    failure: Lost | None = None
    for _ in range(ATTEMPTS + 1):
        try:
            if failure is not None:
                mend(failure)
            return work()
        except Lost as error:
            if passing is not None and isinstance(error, passing):
                raise
            failure = error
    assert failure is not None
    raise give_up(failure) from failure


def persist_in_round(work: Callable[[], T], mend: Callable[[Lost], object]) -> T:
    """:func:`persist` for work within a round. Raises :class:`Gone`, at once if ``mend`` does, or after too
    many failures: an earlier checkpoint may still help."""
    return persist(work, mend, lambda error: Gone(str(error)), passing=Gone)
