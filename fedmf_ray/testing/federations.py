"""A federation of a few users in this process and without encryption, on which contracts are tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.rules import Rule, Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.round import Local
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import IN_THE_CLEAR

STEPS = Steps(0.01, 0.1, 0.1, reg_user_bias=0.1, reg_item_bias=0.1, mean=3.0)
"""For ratings from 0.5 to 5."""

FEW = (0, 1, 9, 4, 7, 2)
"""How many ratings users have: one of them has none."""

LEAST_ITEMS = 12


def setting_of(
    factors: int,
    biases: bool,
    min_raters: int = 1,
    steps: Steps = STEPS,
    items: int = LEAST_ITEMS,
    users: int = len(FEW),
) -> Setting:
    """Bounds are wide: who exceeds them has diverged."""
    point = FixedPoint(20, value_bound=64.0, update_bound=8.0, contributors=users)
    return Setting(items, factors, biases, steps, min_raters, point)


def people(ratings: Sequence[int], items: int) -> list[UserRatings]:
    """Users with so many training ratings, drawn at random from 0.5 to 5."""
    random, found = np.random.default_rng(0), []
    for user, count in enumerate(ratings):
        rated = random.choice(items, count, replace=False).astype(np.int64)
        values = random.integers(1, 11, count) / 2
        found.append(UserRatings(user, rated, values, np.empty(0, np.int64), np.empty(0)))
    return found


def federation(
    rule: Rule, setting: Setting, ratings: Sequence[int] = FEW, part_text_sparsity: float = 1.0
) -> Local:
    """Users with so many ratings each, before their first round."""
    blocks, start = Blocks(rule.tables(setting)), Start("normal", 0.3, seed=3)
    terms = Terms(np.arange(setting.items), rule, setting, blocks, part_text_sparsity, start)
    return Local(IN_THE_CLEAR, terms, people(ratings, setting.items))
