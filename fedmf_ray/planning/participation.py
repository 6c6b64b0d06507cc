"""Who takes part in a round, and whose upload does not arrive: drawn from the seed, so that any two runs
of a scenario agree, whatever their scheme and wherever their users live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.scenario.sections import Participation

_STREAM = 8
"""docs/architecture.md lists the streams of a seed."""

ABSENT, IN_TIME, DROPPED, LATE = 0, 1, 2, 3
"""A user's fate in a round. ABSENT: not asked. Else it downloads, trains and moves its own vector; its
upload arrives in time, never, or when the round is over, and the server refuses it."""

Fates = NDArray[np.int8]


@dataclass(frozen=True)
class Attendance:
    """The draws of one run: what a scenario says, for so many users and its seed."""

    says: Participation
    users: int
    seed: int

    def fates(self, round_number: int) -> Fates:
        """(users,) in order of their ids."""
        says = self.says
        if says.share == 1 and not says.dropout and not says.late:
            return np.full(self.users, IN_TIME, np.int8)
        stream = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, round_number))
        random = np.random.default_rng(stream)
        luck, order = random.random(self.users), random.permutation(self.users)
        fates = np.full(self.users, IN_TIME, np.int8)
        fates[luck < says.dropout + says.late] = LATE
        fates[luck < says.dropout] = DROPPED
        fates[order[self.asked :]] = ABSENT
        return fates

    @property
    def asked(self) -> int:
        """How many users a round asks."""
        return max(1, round(self.says.share * self.users))

    def least(self, fates: Fates) -> int:
        """How many uploads a round must bring."""
        if self.says.minimum is None:
            return int((fates == IN_TIME).sum())
        return int(np.ceil(round(self.says.minimum * int((fates != ABSENT).sum()), 9)))


def those_there(fates: Fates) -> NDArray[np.int64]:
    """(k,) positions of users who can do something for the others in a round: those whose uploads arrive in
    time; if there are none, all who take part, or all."""
    for chosen in (fates == IN_TIME, fates != ABSENT):
        if chosen.any():
            return np.flatnonzero(chosen)
    return np.arange(len(fates))
