"""What a user of a run would be shown, before training and after it, from the users' own checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.users_side import UsersSide
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.ratings.names import shortened


@dataclass(frozen=True)
class Shown:
    """A title and its stars. held_out: what the user gave it, if that is known and was not trained on."""

    title: str
    stars: float
    held_out: float | None = None


@dataclass(frozen=True)
class Recommendations:
    """Of one user, by its id in the file. rounds: after how many. liked: what it rated highest, of what it
    trained on. scored: the numbers of ``before`` and ``after`` are scores of a rule that predicts no ratings.

    before, after: what its actor would show with the first item matrix, and with the latest. popularity: the
    stars for it by which ``after`` is sorted, beside those that are expected.
    """

    user: str
    rounds: int
    liked: list[Shown]
    before: list[Shown]
    after: list[Shown]
    popularity: float
    scored: bool = False


def recommend(path: Path, who: int | str, count: int) -> Recommendations:
    """The best ``count`` titles for a user of the run in a folder; who: its id in the data set or file.

    Raises :class:`FedMFError` if there is no such user, or no checkpoint to read.
    """
    side = UsersSide(path)
    position = position_of(side.plan.population, str(who), side.path)
    user = side.ratings_of(position)
    known = dict(zip(user.test_items.tolist(), user.test_values.tolist(), strict=True))

    def shown(rows: NDArray[np.int64], stars: NDArray[np.float64]) -> list[Shown]:
        pairs = zip(rows.tolist(), stars.tolist(), strict=True)
        return [Shown(side.title(row), value, known.get(row)) for row, value in pairs]

    best = np.argsort(-user.values, kind="stable")[:count]
    liked = shown(user.items[best], user.values[best])
    before = shown(*side.recommended_untrained(position, count))
    after = shown(*side.recommended(position, count))
    popularity = side.scenario.metrics.popularity
    scored = not side.plan.terms.rule.predicts
    shown_id = side.plan.population.names.user(user.user_id)
    return Recommendations(shown_id, side.round, liked, before, after, popularity, scored)


def position_of(population: Population, who: str, path: Path) -> int:
    """Where a user is among all, by its id in the file. Raises :class:`FedMFError` if it is not there."""
    names, ids = population.names, population.user_ids
    user_id = names.user_id(who)
    if user_id is not None and ids[0] <= user_id <= ids[-1]:
        at = int(np.searchsorted(np.asarray(ids, np.int64), user_id))
        if ids[at] == user_id:
            return at
    first, last = names.show_user(ids[0]), names.show_user(ids[-1])
    raise FedMFError(f"{path}: has no user {shortened(who)[1:-1]}: {len(ids)} users, {first} to {last}")
