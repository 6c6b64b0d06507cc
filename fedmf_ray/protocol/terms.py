"""What all users of a run have agreed on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.rules import Rule, Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.tables import Table


@dataclass(frozen=True)
class Terms:
    """The settings of the protocol, which no secret is in.

    item_ids: (items,) int64, which item each row of the item matrix is.
    rule, setting: how users learn. blocks: what they add up, and how it is cut. start: where vectors begin.
    part_text_sparsity: the dial between full text (0) and part text (1). clip: what predictions less the mean
    are cut to where errors are measured, if they are. shared_check: whether users share the check of
    published tables, and read none but those that they have sealed.
    """

    item_ids: NDArray[np.int64]
    rule: Rule
    setting: Setting
    blocks: Blocks
    part_text_sparsity: float
    start: Start
    clip: tuple[float, float] | None = None
    shared_check: bool = False

    @property
    def items(self) -> Table:
        """The item table."""
        return self.blocks.tables[0]

    @cached_property
    def learns(self) -> int:
        """How many numbers of an item row a rating's steps are for; the rule's parts and the raters
        follow."""
        return self.rule.learns(self.items)

    def layout(self, round_number: int) -> Blocks:
        """What users add to in a round, and how it is cut."""
        return self.blocks.at(round_number)

    def paused(self, round_number: int) -> bool:
        """Whether users add to passing tables alone in this round, and leave item rows as they are."""
        return self.rule.pauses and any(not table.always for table in self.layout(round_number).present)

    def census(self, round_number: int) -> bool:
        """Whether users only count themselves in this round: nobody may learn before counts are known."""
        return (self.setting.min_raters > 1 or self.rule.census) and round_number == 0
