"""Lists of recommendations: what the users of an actor say of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.keeper import Keeper
from fedmf_ray.engine.sealing import Sealed
from fedmf_ray.learning.items import Items
from fedmf_ray.learning.ranking import Lists, RankingSums, coverage
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users

_SHOWN = "shown"


class Lister(Keeper):
    """The calls of a user actor that make lists, under the matrix of the open round."""

    _users: Users
    _terms: Terms

    @property
    def _items(self) -> Items:
        raise NotImplementedError

    def recommend(
        self, user_id: int, count: int, popularity: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """What a user here would be shown, as :meth:`Users.recommend` says."""
        return self._users.recommend(user_id, self._items, self._terms, count, popularity)

    def rank(self, lists: Lists) -> RankingSums:
        """How good lists would be for the users here. Which items they show is sealed for other users, whom
        :meth:`covered` asks: of a single user, it would be its list."""
        sums = self._users.rank(self._items, self._terms, lists)
        return sums._replace(shown=self._inside.seal(_SHOWN, sums.shown)) if self._sealed else sums

    def covered(self, *shown: Any) -> float:
        """The share of all items that is in anybody's list, from what all actors said of theirs."""
        return coverage([self._inside.open(_SHOWN, one) if isinstance(one, Sealed) else one for one in shown])
