"""What actors return to the process that drives them, and how they host their users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.tariff import Tariff
from fedmf_ray.engine.sealing import Sealed
from fedmf_ray.learning.metrics import ErrorSums
from fedmf_ray.protocol.items import Share

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Hosting:
    """How an actor treats its users. Nothing here changes a result.

    together: update and encrypt for several at once; a user is then charged its share, where otherwise it
    is measured alone. combine: check and add up their uploads here, on behalf of the server.
    tariff: charge by it instead of measuring; how many ratings a user has stays here. sealed: what users
    alone may see leaves the actor sealed (:mod:`fedmf_ray.engine.sealing`); nobody is charged for that.
    rated: users are charged for opening the blocks with rows that they rated, and their part of the check.
    threads: of an actor, while all others wait for it.
    """

    together: bool
    combine: bool
    tariff: Tariff | None = None
    sealed: bool = False
    rated: bool = False
    threads: int = 1


class Joined(NamedTuple):
    """What an actor tells about its users when it is set up.

    blocks: (users, servers) how many blocks of item rows each uploads to each server every round.
    calls: (calls + 1,) positions where training calls begin, by the number of blocks that there are in a
    round (:meth:`Blocks.at`).
    """

    user_ids: Integers
    blocks: Integers
    calls: dict[int, Integers]


class Reading(NamedTuple):
    """One actor's share of reading the item matrix, and what it took. download_bytes: of a user that reads
    all blocks. token_bytes: beside these, of everybody who reads sealed ones."""

    share: Share | Sealed
    cpu_s: float
    download_bytes: int
    token_bytes: int = 0


class Report(NamedTuple):
    """What the users of an actor tell the experimenter after opening a round: sums, never a rating.

    errors: an entry per user. vector_change: (users,) sum over factors of the absolute change of each
    vector. item_change: mean absolute change of the item matrix (NaN in the first round).
    """

    user_ids: Integers
    errors: ErrorSums
    vector_change: Floats
    item_change: float


class Receipt(NamedTuple):
    """What happened to some uploads: how many were added, which were refused and why, and CPU seconds."""

    added: int
    refused: dict[int, str]
    cpu_s: float

    def plus(self, other: Receipt) -> Receipt:
        """Of both."""
        refused = self.refused | other.refused
        return Receipt(self.added + other.added, refused, self.cpu_s + other.cpu_s)
