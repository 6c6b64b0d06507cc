"""What all users of a run have agreed on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint, Grid, MixedGrid
from fedmf_ray.learning.factors import Steps
from fedmf_ray.learning.ridge import CURVATURE_BITS, LARGEST_CURVATURE, bias_bits
from fedmf_ray.learning.rows import RowLayout
from fedmf_ray.protocol.messages import ItemBlocks

RULES = ("sequential", "batch", "ridge")


@dataclass(frozen=True)
class Terms:
    """The settings of the protocol, which no secret is in.

    item_ids: (items,) int64, which item each row of the item matrix is.
    rule: one of :data:`RULES`.
    layout: the columns of a row. grid: what they are on.
    part_text_sparsity: the dial between full text (0) and part text (1).
    min_raters: users upload zeros for rows that fewer of them rated; above 1, round 0 is a census.
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
        if self.rule == "ridge":
            return "raise model.reg_user and model.reg_item, or lower model.init_scale"
        return "lower model.learning_rate"

    def census(self, round_number: int) -> bool:
        """Whether users only count themselves in this round: nobody may learn before counts are known."""
        return self.min_raters > 1 and round_number == 0


def column_grids(layout: RowLayout, point: FixedPoint) -> Grid:
    """Each column of a row on a grid of its own; point: that of a factor or a bias as it is.

    Sums over raters, counts and curvatures grow far over the bound of a factor, but need fewer fraction bits.
    """
    if not layout.raters:
        return point
    users, largest = point.contributors, LARGEST_CURVATURE
    parts = [(layout.learned, point)]
    if layout.prior:
        bound, most = layout.weights(np.array([float(users)]))[0] * point.value_bound, point.fraction_bits
        parts = [(layout.factors, replace(point, value_bound=bound[0]))]
        if layout.bias:
            bits = min(most, bias_bits(layout))
            parts.append((1, replace(point, fraction_bits=bits, value_bound=bound[-1])))
    if layout.curvature:
        parts.append((1, FixedPoint(CURVATURE_BITS, users * largest, largest, users)))
    parts.append((1, FixedPoint(0, users, 1, users)))
    return MixedGrid(point, tuple(parts))
