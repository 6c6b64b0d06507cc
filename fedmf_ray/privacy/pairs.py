"""What sums of pairs tell whoever reads them: any user, and a server with a user's help. Rule ``item_item``
has those of likings, co-ratings under ``ridge`` those of errors.

Each is a sum of products of levels over users, so a small one points to few people:

* :func:`lone`: a sum of 1 is one user, who gave both items level 1. Nobody knows who, but that it is one.
* :func:`excluded`, :func:`likely`: who knows some likings of a person learns what else it does not like, as a
  sum of 0 with any of them says so, and what it may like.
* :func:`of_one_user`: the difference of two tables of which one has one user more is that user's own product
  of levels, from which all of them follow. This is why pairs should be added up once (``stop.rounds: 2``).
* :func:`triangles`: co-ratings come with how many users rated both. Three items, each two of which one user
  alone rated, are often of the same user: its errors on the three follow from the products, but for a sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def lone(matrix: Floats) -> Integers:
    """(k, 2) pairs of places a < b that certainly one user alone likes both of, at level 1 each."""
    return np.argwhere(np.triu(matrix == 1, 1))


def excluded(matrix: Floats, known: Integers) -> NDArray[np.bool_]:
    """(M,) items that a person does certainly not like, if it likes the known ones and all of its likings
    count (no ``cap``)."""
    barred: NDArray[np.bool_] = (matrix[known] == 0).any(axis=0)
    barred[known] = False
    return barred


def likely(matrix: Floats, known: Integers) -> Floats:
    """(M,) a score of how likely a person likes each item, if it likes the known ones; -inf for these.

    Of the people who like item a, a share of about S_ac / S_aa likes c as well. The known item that the
    fewest like says most, so shares are weighted by 1 / S_aa.
    """
    weights = 1.0 / np.maximum(np.diag(matrix)[known], 1.0)
    scores: Floats = (weights[:, None] * np.minimum(1.0, matrix[known] * weights[:, None])).sum(axis=0)
    scores[(matrix[known] == 0).any(axis=0)] = -1.0
    scores[known] = -np.inf
    return scores


def of_one_user(before: Floats, after: Floats) -> Floats | None:
    """(M,) the levels of the one user by whom two tables differ; None if they differ by something else.

    A symmetric matrix of products of whole numbers: each level is the root of a number on its diagonal.
    """
    difference = np.abs(before - after)
    levels = np.rint(np.sqrt(np.diag(difference)))
    return levels if levels.any() and np.array_equal(np.outer(levels, levels), difference) else None


def triangles(products: Floats, raters: Floats, count: int, seed: int = 0) -> tuple[Integers, Floats]:
    """(k, 3) places of three items, each two of which exactly one user rated both of, and (k, 3) the absolute
    levels of error that one user alone would have had on them; those whose products fit one user.

    products, raters: (M, M) G and N of co-ratings. count: how many such triples are drawn at random.
    """
    alone, random = np.triu(raters == 1, 1), np.random.default_rng(seed)
    alone |= alone.T
    edges, found = np.argwhere(np.triu(alone)), list[list[int]]()
    for a, b in edges[random.permutation(len(edges))[:count]].tolist():
        others = np.flatnonzero(alone[a] & alone[b])
        if len(others):
            found.append(sorted((a, b, int(random.choice(others)))))
    triples = np.array(found, np.int64).reshape(-1, 3)
    pairs = [products[triples[:, i], triples[:, j]] for i, j in ((0, 1), (0, 2), (1, 2))]
    first, second, third = pairs
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.stack([first * second / third, first * third / second, second * third / first], axis=1)
    levels = np.rint(np.sqrt(np.abs(squares)))
    fits = (squares == levels**2).all(axis=1)  # never where a product is 0: nothing is known of the others
    return triples[fits], levels[fits]
