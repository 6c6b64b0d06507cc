"""pfl with our own aggregator, which adds only the rows that a user has rated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import with_pfl
from client import Population
from pfl.aggregate.base import Aggregator
from pfl.stats import MappedVectorStatistics


class RowAggregator(Aggregator):
    def __init__(self, shape):
        self._shape = shape

    def accumulate(self, *, accumulated, user_stats):
        if accumulated is None:
            accumulated = MappedVectorStatistics({"items": np.zeros(self._shape)})
        accumulated["items"][user_stats["rows"]] += user_stats["steps"]
        return accumulated


def rows(items, steps, shape):
    return MappedVectorStatistics({"rows": items, "steps": steps})


def main(folder: Path, rounds: int) -> None:
    shape = Population.load(folder).item_matrix.shape
    with_pfl.main(folder, rounds, rows, RowAggregator(shape))
