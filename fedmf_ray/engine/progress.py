"""What a person may be shown while a run goes on; the command line draws it, a library user need not."""

from __future__ import annotations

from typing import Any, Protocol

from fedmf_ray.errors import FedMFError


class StoppedError(FedMFError):
    """Raised by a :class:`Progress` to end a run after the round whose row it was shown.

    brief: the reason as the run folder may have it, which is shared: without what a caller's code said.
    """

    def __init__(self, message: str, brief: str) -> None:
        super().__init__(message, brief)
        self.brief = brief

    def __str__(self) -> str:
        return str(self.args[0])


class Progress(Protocol):
    def note(self, text: str) -> None:
        """A line worth reading once."""

    def users(self, done: int, total: int) -> None:
        """How many users have finished training in the current round."""

    def round(self, row: dict[str, Any], rounds: int) -> None:
        """A round has ended; ``row`` is its line of ``rounds.csv``."""


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None: ...
