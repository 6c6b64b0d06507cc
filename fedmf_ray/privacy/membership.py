"""Which items did a user rate? What a server reads from row numbers, encrypted or not.

In part text it is told: a user uploads the rows it rated. With decoys a user uploads m rows of which some
carry encrypted zeros; guessing "rated" for one of them is right with probability rated / m. Two things help
the server: rows that many users upload are popular rather than unlucky, and decoys drawn afresh every round
would differ, while rated rows would not (which is why they are drawn once).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def suspected(uploads: Sequence[Integers], items: int, least_rows: int) -> list[Floats]:
    """How likely each uploaded row is a rated one, by popularity. uploads: (k,) rows of each user.

    A user who uploads more than ``least_rows`` has no decoys. For the others a row j is uploaded by a
    share f_j = pi_j + (1 - pi_j) q: the pi_j who rated it, and decoys, which fall on unrated rows alike.
    The server reads q from the rows that the fewest users upload, and P(rated | uploaded) is pi_j / f_j.
    """
    padded = [rows for rows in uploads if len(rows) <= least_rows]
    if not padded:
        return [np.ones(len(rows)) for rows in uploads]
    shares = np.bincount(np.concatenate(padded), minlength=items) / len(padded)
    decoys = float(np.quantile(shares, 0.25))
    popularity = np.clip((shares - decoys) / max(1 - decoys, 1e-9), 0, 1)
    likely = np.divide(popularity, shares, out=np.zeros(items), where=shares > 0)
    return [likely[rows] if len(rows) <= least_rows else np.ones(len(rows)) for rows in uploads]


def intersection(rounds: Sequence[Sequence[Integers]]) -> list[Integers]:
    """The rows that each user uploads in every one of several rounds; users in the same order in each."""
    together = [set(rows.tolist()) for rows in rounds[0]]
    for uploads in rounds[1:]:
        together = [kept & set(rows.tolist()) for kept, rows in zip(together, uploads, strict=True)]
    return [np.array(sorted(rows), np.int64) for rows in together]


def expected_precision(rated: Integers, least_rows: int) -> float:
    """Right guesses of an uploaded row, over all users with (users,) rated rows: the formula to check."""
    return float(rated.sum() / np.maximum(rated, least_rows).sum())
