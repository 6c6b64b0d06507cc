"""Lists from encrypted sums of pairs on one page, with ``phe`` alone: rule ``item_item``, in two rounds.

EASE (Steck, WWW 2019); docs/quality.md explains the rule, docs/threat-model.md what its sums tell. One
ciphertext a number, no packing, no Ray. The tests run it beside the fast path and ask for the same sums and
scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from phe import paillier

Floats = NDArray[np.float64]
Ratings = tuple[NDArray[np.int64], Floats]
"""One user's ratings from 0.5 to 5 in timestamp order: (ratings,) item rows and (ratings,) stars."""


def lists(
    users: Sequence[Ratings], items: int, top: int, reg: float, levels: int = 3, key_bits: int = 1024
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The ``top`` most-rated items, the sums over their pairs, and (users, top) scores for lists.

    The server's lines use ``public`` only, the users' lines use ``private``.
    """
    public, private = paillier.generate_paillier_keypair(n_length=key_bits)  # by the users
    width = top * (top + 1) // 2

    counts = [public.encrypt(0) for _ in range(items)]  # round 0, a census: the server's sums
    for rows, _ in users:
        for row in range(items):  # a zero, too, so that nobody sees which
            counts[row] += public.encrypt(int(row in rows))
    raters = np.array([private.decrypt(count) for count in counts])  # by every user
    chosen = np.argsort(-raters, kind="stable")[:top]

    sums = [public.encrypt(0) for _ in range(width)]  # round 1: the server's sums of pairs
    likings = np.zeros((len(users), top))  # each row is one user's own, and stays there
    for mine, (rows, stars) in zip(likings, users, strict=True):
        for place, row in enumerate(chosen):
            if row in rows:
                mine[place] = np.clip((stars[rows == row][0] - 2) / 3, 0, 1)
        level = np.rint(levels * mine).astype(int)
        for at, (a, b) in enumerate(zip(*np.triu_indices(top), strict=True)):
            sums[at] += public.encrypt(int(level[a] * level[b]))
    gram = np.zeros((top, top))
    gram[np.triu_indices(top)] = [private.decrypt(one) for one in sums]  # by every user
    gram += np.triu(gram, 1).T

    inverse = np.linalg.inv(gram / levels**2 + reg * np.eye(top))
    return chosen, gram, likings - likings @ inverse / np.diag(inverse)
