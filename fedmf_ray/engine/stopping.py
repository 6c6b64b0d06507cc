"""Early stopping: a run ends when the validation error has not improved for some rounds."""

from __future__ import annotations

import math
from typing import Any

from fedmf_ray.scenario.schema import Stop

STOPPED_EARLY = "stopped_early"


class Stopping:
    """Remembers the errors of all rounds, also of those before a resume: a run that was interrupted ends
    where an undisturbed one does."""

    def __init__(self, stop: Stop) -> None:
        self._patience, self._delta = stop.patience, stop.min_delta
        self._errors: dict[int, float] = {}

    def learn(self, number: int, error: float) -> None:
        """The validation error after a round; a round that is done again has the same."""
        self._errors[number] = error

    def over(self, rounds: int) -> bool:
        """Whether a run ends after so many rounds."""
        return self._patience is not None and rounds - 1 - self._best(rounds) >= self._patience

    def row(self, rounds: int) -> dict[str, Any]:
        """For the summary: the best of so many rounds, and its error."""
        best = self._best(rounds)
        return {"best_round": best, "best_rmse": self._errors[best]}

    def _best(self, rounds: int) -> int:
        """The last round that improved on the best before it by more than ``min_delta``, or the first."""
        best, least = 0, math.inf
        for number in range(rounds):
            error = self._errors.get(number, math.inf)
            if error < least - self._delta:
                best, least = number, error
        return best
