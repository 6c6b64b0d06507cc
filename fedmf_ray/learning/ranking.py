"""How good lists of recommendations are: hit rate, precision, recall, NDCG, MAP and others at k, as sums that
users give.

For each user, all items that it did not train on are ranked by predicted rating, or by that and by how many
rated them (:func:`ranked_by`), or by the scores of a rule that makes lists alone; of equal ones the first row
comes first. What it held out and rated at least ``relevant_from`` is *relevant*. Users with nothing relevant
are left out: there is nothing to be found for them. Where fewer than k items are left to be shown, a list is
shorter: its empty places count as misses, in precision too. (Herlocker et al., ACM TOIS 22(1), 2004; NDCG
with gains of 1 and the ideal list of min(k, relevant) items: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002.)

All but MAP are those of ``trec_eval`` at the same cut-off, which a test holds to the last digits
(``success``, ``P``, ``recall``, ``ndcg_cut``). Its ``map_cut`` divides by all relevant items, so that no list
of k can reach 1 where more are relevant; here it is min(k, relevant).

``MEASURES`` is the one list of measures. One is added to it below, or by the entry point group
``fedmf_ray.metrics`` of an installed package; :mod:`fedmf_ray.testing.metrics` has the tests that it must
pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import KeptRatings, RatingBlock
from fedmf_ray.registry import Registry

Floats = NDArray[np.float64]


class Listed(NamedTuple):
    """One user's list. rows: (n,) of the item matrix, the best first; n is k, or fewer where items are few.
    found: (n,) bool, which of them are relevant. relevant: how many there are, in the list or not. k: the
    length that was asked for. raters: (items,) how many rated each; None if nobody has been counted."""

    rows: NDArray[np.int64]
    found: NDArray[np.bool_]
    relevant: int
    k: int
    raters: Floats | None


Measure = Callable[[Listed], float]
"""A number for one user's list; a run reports the mean over users."""


def _check(name: str, offered: object) -> Measure:
    if not callable(offered):
        raise TypeError("is no function of one list")
    return cast(Measure, offered)


MEASURES: Registry[Measure] = Registry("measure of lists", "fedmf_ray.metrics", _check)


def hit_rate(listed: Listed) -> float:
    """1 if anything relevant is in the list."""
    return float(listed.found.any())


def precision(listed: Listed) -> float:
    """Share of the k places with something relevant."""
    return float(listed.found.sum() / listed.k)


def recall(listed: Listed) -> float:
    """Share of what is relevant that is in the list."""
    return float(listed.found.sum() / listed.relevant)


def ndcg(listed: Listed) -> float:
    """Discounted cumulative gain, relative to that of the ideal list."""
    discounts = _discounts(listed.k)
    ideal = np.add.reduce(discounts[: listed.relevant])
    return float(np.add.reduce(discounts[: len(listed.found)][listed.found]) / ideal)


def mean_average_precision(listed: Listed) -> float:
    """Precision at the place of each relevant item in the list, added up, over min(k, relevant)."""
    hits, places = np.cumsum(listed.found), np.arange(1, len(listed.found) + 1)
    return float(np.add.reduce((hits / places)[listed.found]) / min(listed.k, listed.relevant))


def popularity(listed: Listed) -> float:
    """Popularity bias: mean raters of what is in the list, relative to those of the k most-rated items. 1 for
    a list of bestsellers, 0 for items that nobody rated. (The average recommendation popularity of Yin et
    al., PVLDB 5(9), 2012, made comparable between data sets.)"""
    if listed.raters is None:
        return 0.0
    k = len(listed.rows)
    most = np.add.reduce(np.partition(listed.raters, len(listed.raters) - k)[len(listed.raters) - k :])
    return float(np.add.reduce(listed.raters[listed.rows]) / most) if most else 0.0


@lru_cache(maxsize=8)
def _discounts(k: int) -> Floats:
    return np.asarray(1 / np.log2(np.arange(2, k + 2)))


ALWAYS: dict[str, Measure] = {
    "hit_rate": hit_rate,
    "precision": precision,
    "recall": recall,
    "ndcg": ndcg,
    "map": mean_average_precision,
}
"""What every run with lists reports; others are asked for by name (``metrics.measures``)."""

COUNTED: dict[str, Measure] = {"popularity": popularity}
"""The same, of runs in which raters are counted."""

COVERAGE = "coverage"
"""The share of items that is in anybody's list: of all lists together, not a mean over users."""

for _name, _measure in (ALWAYS | COUNTED).items():
    MEASURES.register(_name, _measure)


class Lists(NamedTuple):
    """What lists are made and measured by: their length; held-out ratings from where on they should find;
    stars for popularity; names of measures beside :data:`ALWAYS`."""

    k: int
    relevant_from: float
    popularity: float = 0.0
    measures: tuple[str, ...] = ()

    def all_measures(self, counted: bool) -> dict[str, Measure]:
        """Those that a run reports, by name. counted: raters are counted."""
        return ALWAYS | (COUNTED if counted else {}) | {name: MEASURES.get(name) for name in self.measures}

    def names(self, counted: bool) -> list[str]:
        """Of the measures that a run reports, that of all lists together included."""
        return [*self.all_measures(counted), COVERAGE]

    def less(self, mean: float) -> Lists:
        """The same for ratings relative to a mean."""
        return self._replace(relevant_from=self.relevant_from - mean)


class RankingSums(NamedTuple):
    """Of each user, an entry each: whether it counts (0 or 1), and its measures by name (0 if it does
    not). shown: (items,) bool, what is in any of their lists; sealed where it leaves a process of users."""

    counts: Floats
    measures: Mapping[str, Floats]
    shown: Any = None


class Ranking(NamedTuple):
    """Means over the users that count, and the coverage of their lists. k: the length of lists. users: how
    many those are."""

    k: int
    users: int
    measures: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """As ``summary.json`` has it."""
        return {"k": self.k, "users": self.users, **self.measures}


def ranked_by(expected: Floats, raters: Floats | None, popularity: float) -> Floats:
    """(items,) what a list is sorted by: the expected rating and ``popularity`` stars times ln(1 + n_j).

    A model of ratings knows nothing of what people choose to rate: alone, it puts what few but fond people
    rated before what everybody saw. raters: (items,) n_j; None if nobody has been counted.
    """
    if raters is None or popularity == 0:
        return expected
    return expected + popularity * np.log1p(raters)


def ranking_sums(
    scores: Callable[[int], Floats],
    train: RatingBlock | KeptRatings,
    test: RatingBlock | KeptRatings,
    lists: Lists,
    raters: Floats | None = None,
) -> RankingSums:
    """Rank all items for each user of a block. scores: (items,) the ratings that the user at a position is
    expected to give. raters: as of :func:`ranked_by`.

    ``lists.relevant_from`` is on the scale of the values of ``test``.
    """
    users = len(train.starts) - 1
    measures = lists.all_measures(raters is not None)
    counts, sums = np.zeros(users), {name: np.zeros(users) for name in measures}
    shown: NDArray[np.bool_] | None = None
    for user in range(users):
        held_out = test.part(user, user + 1)
        relevant = held_out.items[held_out.values >= lists.relevant_from]
        if not len(relevant):
            continue
        sorted_by = ranked_by(scores(user), raters, lists.popularity).copy()
        shown = np.zeros(len(sorted_by), bool) if shown is None else shown
        sorted_by[train.part(user, user + 1).items] = -np.inf
        rows = _first(sorted_by, lists.k)
        listed = Listed(rows, np.isin(rows, relevant), len(relevant), lists.k, raters)
        counts[user], shown[rows] = 1.0, True
        for name, measure in measures.items():
            sums[name][user] = measure(listed)
    return RankingSums(counts, sums, shown)


def _first(expected: Floats, k: int) -> NDArray[np.int64]:
    """The k best items in order, fewer if there are not so many; of equal ones the first row first."""
    if k < len(expected):
        least = np.partition(expected, len(expected) - k)[len(expected) - k]
        candidates = np.flatnonzero(expected >= least)  # with all that tie with the last one
    else:
        candidates = np.arange(len(expected))
    order = candidates[np.argsort(-expected[candidates], kind="stable")][:k]
    return order[np.isfinite(expected[order])]


def coverage(shown: Iterable[NDArray[np.bool_] | None]) -> float:
    """The share of items that is in anybody's list, NaN if there are no lists. shown: (items,) of some users
    each, or None of users without lists."""
    parts = [part for part in shown if part is not None]
    return float(np.logical_or.reduce(parts).mean()) if parts else math.nan


def combine_rankings(parts: Iterable[RankingSums], k: int, covered: float | None = None) -> Ranking:
    """Means over all users. ``math.fsum`` rounds once, so the order of users does not matter. covered: as of
    :func:`coverage`, where what is shown is sealed."""
    parts = list(parts)
    users = math.fsum(np.concatenate([part.counts for part in parts]).tolist())
    means = {}
    for name in parts[0].measures:
        total = math.fsum(np.concatenate([part.measures[name] for part in parts]).tolist())
        means[name] = total / users if users else math.nan
    means[COVERAGE] = coverage(part.shown for part in parts) if covered is None else covered
    return Ranking(k, int(users), means)
