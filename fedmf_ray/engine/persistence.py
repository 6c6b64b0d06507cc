"""What happens when processes die: the one place where a piece of work is made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ATTEMPTS = 9
"""After so many failures of one piece of work, something is wrong that no restart mends."""


class Lost(Exception):
    """A process that was asked, or a value that it needed, is gone: it died, or its machine did."""


class Gone(Lost):
    """More is gone than can be replaced where the work stands: only an earlier checkpoint helps."""


def persist(
    work: Callable[[], T],
    mend: Callable[[Lost], object],
    give_up: Callable[[Lost], Exception],
    passing: type[Lost] | None = None,
) -> T:
    """Do a piece of work until nobody dies on the way.

    work: may be called again, and does not do twice what is done. mend: replaces who died, before the next
    attempt; it may fail like the work. give_up: what to raise after :data:`ATTEMPTS` failures, from the last
    one. passing: a kind of failure that is for the caller to mend.
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
    """The same for work in the middle of a round, where an earlier checkpoint may still help: raises
    :class:`Gone` when mending fails so, or fails too often."""
    return persist(work, mend, lambda error: Gone(str(error)), passing=Gone)
