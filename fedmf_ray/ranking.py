"""How good lists of recommendations are: hit rate, precision, recall and NDCG at k, as sums that users give.

For each user, all items that it did not train on are ranked by predicted rating; of equal ones the first row
comes first. What it held out and rated at least ``relevant_from`` is *relevant*. Users without anything
relevant are left out: nothing could be found for them. (Herlocker et al., ACM TOIS 22(1), 2004; NDCG with
gains of 1 and the ideal list of min(k, relevant) items: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.factors import RatingBlock

Floats = NDArray[np.float64]


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


def ranking_sums(
    scores: Callable[[int], Floats], train: RatingBlock, test: RatingBlock, k: int, relevant_from: float
) -> RankingSums:
    """Rank all items for each user of a block. scores: (items,) predictions for the user at a position.

    relevant_from: on the scale of the values of ``test``.
    """
    sums = RankingSums(*np.zeros((5, len(train.starts) - 1)))
    discounts = 1 / np.log2(np.arange(2, k + 2))
    for user in range(len(sums.counts)):
        held_out = test.part(user, user + 1)
        relevant = held_out.items[held_out.values >= relevant_from]
        if not len(relevant):
            continue
        expected = scores(user).copy()
        expected[train.part(user, user + 1).items] = -np.inf
        found = np.isin(_first(expected, k), relevant)
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
