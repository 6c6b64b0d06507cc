"""What lists are measured by: asked of all users, and after a round, as columns of ``rounds.csv``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fedmf_ray.engine.backends import Backend
from fedmf_ray.learning.ranking import Lists, Ranking, combine_rankings
from fedmf_ray.scenario.model import Metrics

Row = dict[str, Any]


def of_round(number: int, metrics: Metrics, counted: bool, ranking: Callable[[], Row]) -> Row:
    """Nothing unless ``metrics.every`` is given. counted: raters are counted. ranking: as
    ``summary.json`` has it; asked after every so many rounds, other rounds have no numbers."""
    if metrics.lists is None or not metrics.every:
        return {}
    found = ranking() if (number + 1) % metrics.every == 0 else {}
    return {name: found.get(name, math.nan) for name in metrics.lists.names(counted)}


def ranking_of(backend: Backend, users: Sequence[Any], lists: Lists) -> Ranking:
    """Ask all user actors how good their users' lists are, and one of them what all lists cover."""
    sums = backend.get([backend.call(user, "rank", lists) for user in users])
    covered = backend.call(users[0], "covered", *(part.shown for part in sums))
    return combine_rankings(sums, lists.k, backend.get(covered))
