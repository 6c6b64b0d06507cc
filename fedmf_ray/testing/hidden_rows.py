"""Whether users get along without the rows of V that they did not rate, as a rule may say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.items import Items
from fedmf_ray.protocol.round import Local

Floats = NDArray[np.float64]
Results = Callable[[Local, int], Sequence[Floats]]


def check_hidden_rows(local: Local, results: Results) -> None:
    """Raise ``AssertionError`` if what a user computes depends on rows that it did not rate."""
    items, rows = local.items, np.arange(local.terms.items.rows)
    for user in range(len(local.users)):
        hidden = np.setdiff1d(rows, local.users.train.part(user, user + 1).items)
        local.items = _without(items, hidden)
        found = results(local, user)
        local.items = items
        pairs = zip(found, results(local, user), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs), "it needs rows that a user did not rate"


def _without(items: Items, hidden: NDArray[np.int64]) -> Items:
    """What users read, with nothing in some rows."""

    def blank(values: Floats) -> Floats:
        copy = values.copy()
        copy[hidden] = np.nan
        return copy

    learned = items.learned
    if learned is not None:
        learned = learned.copy()
        learned[hidden] = ~learned[hidden]
    return Items(
        blank(items.vectors),
        None if items.raters is None else blank(items.raters),
        learned,
        {name: blank(values) for name, values in items.columns.items()},
        items.shared,
    )
