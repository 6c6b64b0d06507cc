"""Ratings as likings from 0 to 1, for models that learn what people like and not how many stars they give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import RatingBlock

Floats = NDArray[np.float64]

_STAR_BITS = 20
"""Ratings come less their mean; adding it again leaves their last bits open, and levels are cut at halves."""


def likings(values: Floats, mean: float, scale: tuple[float, float]) -> Floats:
    """(n,) from 0 a third up the scale or below to 1 at its top: clip((r - 2) / 3, 0, 1) on 0.5 to 5.

    values: (n,) ratings less the mean. scale: the lowest and the highest rating; if they are the same, nobody
    likes anything.
    """
    low, high = scale
    if low >= high:
        return np.zeros(len(values))
    third, grid = low + (high - low) / 3, float(1 << _STAR_BITS)
    stars = np.rint((values + mean) * grid) / grid
    return np.clip((stars - third) / (high - third), 0.0, 1.0)


def user_means(block: RatingBlock) -> Floats:
    """(users,) the mean of each one's values, 0 for those without any."""
    means = np.zeros(len(block.starts) - 1)
    for user, (begin, end) in enumerate(zip(block.starts[:-1], block.starts[1:], strict=True)):
        if end > begin:
            means[user] = np.add.reduce(block.values[begin:end]) / (end - begin)
    return means
