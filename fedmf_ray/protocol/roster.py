"""Who may upload to a server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Roster:
    """Who may upload to a server, and how much: users say so once, when they join.

    user_ids: (users,) int64, increasing. blocks: (users,) how many blocks of its range each will name, those
    of shared tables left out.
    """

    user_ids: Integers
    blocks: Integers

    def position(self, user_id: int) -> int | None:
        if type(user_id) is not int:
            return None
        at = int(self.user_ids.searchsorted(user_id))
        return at if at < len(self.user_ids) and self.user_ids[at] == user_id else None
