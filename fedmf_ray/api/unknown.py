"""The error for ids that a run does not have."""

from __future__ import annotations

from fedmf_ray.errors import FedMFError


class UnknownIdError(FedMFError, KeyError):
    """A user or an item that the run does not have. ``except KeyError`` catches it, too."""

    def __str__(self) -> str:  # KeyError would print it in quotes
        return str(self.args[0])
