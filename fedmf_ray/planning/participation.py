"""Who takes part in a round, and whose upload does not arrive: drawn from the seed, so that any two runs
of a scenario agree, whatever their scheme and wherever their users live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fedmf_ray.scenario.schema import Scenario  # user actors import this module, and need no pydantic

_STREAM = 8
"""Streams 0 to 7 of the same seed belong to vectors, splits, ratings and devices."""

ABSENT, IN_TIME, DROPPED, LATE = 0, 1, 2, 3
"""A user's fate in a round. ABSENT: not asked. Else it downloads, trains and moves its own vector; its
upload arrives in time, never, or when the round is over, and the server refuses it."""

Fates = NDArray[np.int8]


@dataclass(frozen=True)
class Participation:
    """share: of the users is asked in each round. dropout, late: probabilities of those fates.

    minimum: least share of the asked users whose uploads must be added, or the run stops; None asks for
    all that were not drawn to drop out or be late.
    """

    users: int
    share: float
    dropout: float
    late: float
    minimum: float | None
    seed: int

    @classmethod
    def of(cls, scenario: Scenario, users: int) -> Participation:
        asked = scenario.participation
        return cls(users, asked.share, asked.dropout, asked.late, asked.minimum, scenario.seed)

    def fates(self, round_number: int) -> Fates:
        """(users,) in order of their ids."""
        if self.share == 1 and not self.dropout and not self.late:
            return np.full(self.users, IN_TIME, np.int8)
        stream = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, round_number))
        random = np.random.default_rng(stream)
        luck, order = random.random(self.users), random.permutation(self.users)
        fates = np.full(self.users, IN_TIME, np.int8)
        fates[luck < self.dropout + self.late] = LATE
        fates[luck < self.dropout] = DROPPED
        fates[order[max(1, round(self.share * self.users)) :]] = ABSENT
        return fates

    def least(self, fates: Fates) -> int:
        """How many uploads a round must bring."""
        if self.minimum is None:
            return int((fates == IN_TIME).sum())
        return int(np.ceil(round(self.minimum * int((fates != ABSENT).sum()), 9)))
