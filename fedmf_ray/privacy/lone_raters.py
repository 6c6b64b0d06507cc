"""What rows of rule ``implicit`` tell whoever reads them, if one user alone likes an item.

Such a row is B = (1 + w) u and L = w |u|^2, rounded up to its grid, with w = alpha x. So |B|^2 / L is
(1 + w)^2 / w, which has one root above 1: the liking x follows, and with it the user's vector u, which is the
same in all rows of that user.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def likings_of_lone_raters(sums: Floats, sizes: Floats, alpha: float) -> tuple[Floats, Floats]:
    """x (n,) and u (n, d) from rows of B (n, d) and L (n,) of items that one user alone likes; NaN where L
    is 0: nobody likes the item, or has only counted itself. Takes the root for w of 1 or more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.add.reduce(sums * sums, axis=1) / sizes
        middle = ratio - 2.0  # w + 1 / w
        weight = (middle + np.sqrt(np.maximum(middle * middle - 4.0, 0.0))) / 2.0
        found = np.where(sizes > 0, weight / alpha, np.nan)
        return found, sums / (1.0 + alpha * found[:, None])
