"""How good lists of recommendations are: hit rate, precision, recall and NDCG at k, as sums that users give.

For each user, all items that it did not train on are ranked by predicted rating, or by that and by how many
rated them (:func:`ranked_by`); of equal ones the first row comes first. What it held out and rated at least
``relevant_from`` is *relevant*. Users with nothing relevant are left out: there is nothing to be found for
them. (Herlocker et al., ACM TOIS 22(1), 2004; NDCG with gains of 1 and the ideal list of min(k, relevant)
items: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.factors import RatingBlock

Floats = NDArray[np.float64]


class Lists(NamedTuple):
    """What lists are made and measured by: their length; held-out ratings from where on they should find;
    stars for popularity."""

    k: int
    relevant_from: float
    popularity: float = 0.0

    def less(self, mean: float) -> Lists:
        """The same for ratings that are reckoned from a mean."""
        return self._replace(relevant_from=self.relevant_from - mean)


class RankingSums(NamedTuple):
    """Of each user, an entry each: whether it counts (0 or 1), and its measures (0 if it does not)."""

    counts: Floats
    hit: Floats
    precision: Floats
    recall: Floats
    ndcg: Floats


class Ranking(NamedTuple):
    """Means over the users that count. users: how many those are; k: the length of lists."""

    k: int
    users: int
    hit_rate: float
    precision: float
    recall: float
    ndcg: float


MEASURES = Ranking._fields[2:]
"""Columns of ``study.csv``, too."""


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
    train: RatingBlock,
    test: RatingBlock,
    lists: Lists,
    raters: Floats | None = None,
) -> RankingSums:
    """Rank all items for each user of a block. scores: (items,) the ratings that the user at a position is
    expected to give. raters: as of :func:`ranked_by`.

    ``lists.relevant_from`` is on the scale of the values of ``test``.
    """
    k, relevant_from = lists.k, lists.relevant_from
    sums = RankingSums(*np.zeros((5, len(train.starts) - 1)))
    discounts = 1 / np.log2(np.arange(2, k + 2))
    for user in range(len(sums.counts)):
        held_out = test.part(user, user + 1)
        relevant = held_out.items[held_out.values >= relevant_from]
        if not len(relevant):
            continue
        sorted_by = ranked_by(scores(user), raters, lists.popularity).copy()
        sorted_by[train.part(user, user + 1).items] = -np.inf
        found = np.isin(_first(sorted_by, k), relevant)
        sums.counts[user] = 1.0
        sums.hit[user] = found.any()
        sums.precision[user] = found.sum() / k
        sums.recall[user] = found.sum() / len(relevant)
        ideal = np.add.reduce(discounts[: len(relevant)])
        sums.ndcg[user] = np.add.reduce(discounts[: len(found)][found]) / ideal
    return sums


def _first(expected: Floats, k: int) -> NDArray[np.int64]:
    """The k best items in order, fewer if there are not so many; of equal ones the first row first."""
    if k < len(expected):
        least = np.partition(expected, len(expected) - k)[len(expected) - k]
        candidates = np.flatnonzero(expected >= least)  # with all that tie with the last one
    else:
        candidates = np.arange(len(expected))
    order = candidates[np.argsort(-expected[candidates], kind="stable")][:k]
    return order[np.isfinite(expected[order])]


def combine_rankings(parts: Iterable[RankingSums], k: int) -> Ranking:
    """Means over all users. ``math.fsum`` rounds once, so the order of users does not matter."""
    users, *sums = (math.fsum(np.concatenate(column).tolist()) for column in zip(*parts, strict=True))
    means = [total / users if users else math.nan for total in sums]
    return Ranking(k, int(users), *means)
