"""What all users of a run have agreed on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.crypto.fixed_point import FixedPoint, Grid, MixedGrid
from fedmf_ray.factors import Steps
from fedmf_ray.protocol.messages import ItemBlocks
from fedmf_ray.ridge import CURVATURE_BITS, LARGEST_CURVATURE
from fedmf_ray.rows import RowLayout

RULES = ("sequential", "batch", "ridge")


@dataclass(frozen=True)
class Terms:
    """The settings of the protocol, which no secret is in.

    item_ids: (items,) int64, which item each row of the item matrix is.
    rule: one of :data:`RULES`.
    layout: the columns of a row; with a column of raters, round 0 is the census. grid: what they are on.
    part_text_sparsity: the dial between full text (0) and part text (1).
    min_raters: users upload zeros for rows that fewer of them rated.
    init, init_scale, seed: where user vectors start.
    """

    item_ids: NDArray[np.int64]
    rule: str
    steps: Steps
    layout: RowLayout
    grid: Grid
    blocks: ItemBlocks
    part_text_sparsity: float
    min_raters: int
    init: str
    init_scale: float
    seed: int

    @property
    def calmer(self) -> str:
        """What to change where training diverges."""
        rule = self.rule
        return "raise model.reg_user and model.reg_item" if rule == "ridge" else "lower model.learning_rate"

    def census(self, round_number: int) -> bool:
        """Whether users only count themselves in this round."""
        return self.layout.raters and round_number == 0


def column_grids(layout: RowLayout, point: FixedPoint) -> Grid:
    """Each column of a row on a grid of its own; point: that of the factors and the bias.

    Counts and curvatures grow with the raters, far over the bound of a factor, but need fewer fraction bits.
    """
    users, largest = point.contributors, LARGEST_CURVATURE
    parts = [(layout.learned, point)]
    if layout.curvature:
        parts.append((1, FixedPoint(CURVATURE_BITS, users * largest, largest, users)))
    if layout.raters:
        parts.append((1, FixedPoint(0, users, 1, users)))
    return point if len(parts) == 1 else MixedGrid(tuple(parts))
