"""The paper's proof carried out: user vectors from gradients by linear algebra, no grid of ratings assumed.

Both forms solve for lengths of the user vector exactly, so they need gradients as good as floats: on coarse
fixed point they collapse as training goes on, where the grid attack does not
(:mod:`~fedmf_ray.privacy.gradients`, which also defines the symbols).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.privacy.gradients import Rows

Floats = NDArray[np.float64]


def two_rounds(rows: Rows, following: Rows, steps: Steps) -> Floats:
    """Rule ``batch``: (k,) ratings (NaN if there is no solution) from two consecutive rounds of one user.

    u' = a u + 2 learning_rate sum(e_j v_j) with u = s w, u' = s' w' and e_j = c_j / s, times s:
    a s**2 w - s s' w' = -2 learning_rate sum(c_j v_j), least squares in (s**2, s s').
    """
    now, later = rows.directions[0], following.directions[0]
    later = later if now @ later > 0 else -later
    keep = 1 - 2 * steps.learning_rate * steps.reg_user
    right = -2 * steps.learning_rate * (rows.strength @ rows.item_vectors)
    square = np.linalg.lstsq(np.stack([keep * now, -later], axis=1), right, rcond=None)[0][0]
    length = np.sqrt(square) if square > 0 else np.nan
    return _positive(rows.rating(slice(None), length))


def consecutive(rows: Rows, steps: Steps) -> Floats:
    """Rule ``sequential``: (k,) ratings (NaN where there is no solution) from one round of one user.

    Row k follows row m if s_k**2 w_k - a s_k s_m w_m = 2 learning_rate c_k v_k, that is, if w_m lies in the
    plane of w_k and v_k: w_m = alpha w_k + beta v_k gives s_k**2 = -2 learning_rate c_k alpha / beta. The
    server does not know the order; the row that lies closest to that plane is the one before.
    """
    count = len(rows.strength)
    if count < 2:
        return np.full(count, np.nan)
    keep = 1 - 2 * steps.learning_rate * steps.reg_user
    cosines = rows.directions @ rows.directions.T  # [m, k] = <w_m, w_k>
    along = np.sum(rows.directions * rows.item_vectors, axis=1)  # <w_k, v_k>
    across = np.sum(rows.item_vectors**2, axis=1) - along**2  # what v_k adds to w_k, squared
    beta = (rows.directions @ rows.item_vectors.T - cosines * along) / across
    distance = 1 - cosines**2 - beta**2 * across
    np.fill_diagonal(distance, np.inf)
    before = np.argmin(distance, axis=0)
    every = np.arange(count)
    beta = beta[before, every]
    alpha = cosines[before, every] - beta * along
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.sqrt(-2 * steps.learning_rate * rows.strength * alpha / beta)
        # The row that came first follows none: its length is that of which its successor speaks.
        first = int(np.argmax(distance[before, every]))
        after = np.flatnonzero((before == first) & (every != first))
        lengths[first] = (lengths / (keep * alpha))[after[0]] if len(after) else np.nan
    return _positive(rows.rating(slice(None), lengths))


def _positive(ratings: Floats) -> Floats:
    """The sign of a user vector cannot be seen: ratings are mostly positive."""
    return ratings if not np.nanmedian(ratings) < 0 else -ratings
