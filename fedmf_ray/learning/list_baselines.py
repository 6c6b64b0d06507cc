"""Central models that make lists and predict no ratings: EASE and weighted factorisation (iALS).

Both are trained by one process on everybody's likings (:mod:`fedmf_ray.learning.likings`). As ratings they
predict each user's own mean, so that errors say no more than that. They use LAPACK, whose last bits depend on
the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.baselines import Epoch
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.likings import user_means

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ease:
    """Settings of ``model.algorithm: ease``, under ``model.ease``."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS
    name: ClassVar[str] = "ease"

    reg: float = 100.0
    """What is added to the diagonal of the items' Gram matrix."""
    rated_is_liked: bool = False
    """Whatever a user rated it likes, as much as anything else."""

    def problem(self) -> str | None:
        return None if 0 < self.reg <= 1e9 else "ease.reg: should be above 0 and at most 1e9"


@dataclass(frozen=True)
class Ials:
    """Settings of ``model.algorithm: ials``, under ``model.ials``, beside ``model.factors``."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS
    name: ClassVar[str] = "ials"

    alpha: float = 10.0
    """A liking x is trusted 1 + alpha x times as much as that nothing is known of an item."""
    reg: float = 40.0
    """Weight on the squares of vectors."""
    rated_is_liked: bool = False
    """Whatever a user rated it likes, as much as anything else."""

    def problem(self) -> str | None:
        for key in ("alpha", "reg"):
            if not 0 < getattr(self, key) <= 1e9:
                return f"ials.{key}: should be above 0 and at most 1e9"
        return None


LISTS: dict[str, type[Ease] | type[Ials]] = {kind.name: kind for kind in (Ease, Ials)}
"""By the names that ``model.algorithm`` has for them."""


def ease(train: RatingBlock, liked: Floats, items: int, settings: Ease) -> Epoch:
    """Steck, WWW 2019: s = x - (x P) / diag P with P = (X^T X + reg I)^-1, on all items, in one pass.

    train: ratings less the mean; liked: (ratings,) likings. With fewer users than items, by the identity
    P = (I - X^T (X X^T + reg I)^-1 X) / reg.
    """
    matrix = _dense(train, _liked(liked, settings), items)
    users = len(matrix)
    if users < items:
        inner = np.linalg.solve(matrix @ matrix.T + settings.reg * np.eye(users), matrix)
        diagonal = (1.0 - np.einsum("ui,ui->i", matrix, inner)) / settings.reg
        projected = (matrix - (matrix @ matrix.T) @ inner) / settings.reg
    else:
        inverse = np.linalg.inv(matrix.T @ matrix + settings.reg * np.eye(items))
        diagonal, projected = np.diag(inverse), matrix @ inverse
    scores = matrix - projected / diagonal
    return _epoch(train, items, scores, 0.0, 0.0)


def ials(
    user_vectors: Floats, item_matrix: Floats, train: RatingBlock, liked: Floats, settings: Ials
) -> Iterator[Epoch]:
    """Hu, Koren and Volinsky, ICDM 2008: users, then items, each solved for exactly; yields after each pass.

    Items that a user likes (liking x above 0) count with weight 1 + alpha x as a 1, all others with weight 1
    as a 0.
    """
    users, items, liked = user_vectors.copy(), item_matrix.copy(), _liked(liked, settings)
    by_user = _Sparse.of(
        np.repeat(np.arange(len(users)), np.diff(train.starts)), train.items, liked, len(users)
    )
    by_item = _Sparse.of(train.items, by_user.owners, liked, len(items))
    while True:
        moved = by_user.solved(items, settings)
        settled = by_item.solved(moved, settings)
        changes = float(np.mean(np.abs(moved - users))), float(np.mean(np.abs(settled - items)))
        users, items = moved, settled
        yield _epoch(train, len(items), users @ items.T, *changes)


@dataclass(frozen=True)
class _Sparse:
    """Likings row by row: row k likes others[starts[k] : starts[k + 1]] by as much as ``liked``. owners: of
    the ratings as they were given."""

    starts: NDArray[np.int64]
    others: NDArray[np.int64]
    liked: Floats
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, rows: NDArray[np.int64], others: NDArray[np.int64], liked: Floats, count: int) -> _Sparse:
        kept = np.flatnonzero(liked > 0)
        order = kept[np.argsort(rows[kept], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=count))])
        return cls(starts, others[order], liked[order], rows)

    def solved(self, vectors: Floats, settings: Ials) -> Floats:
        """(rows, d) the best vector of each row, given those of the other side."""
        base = vectors.T @ vectors + settings.reg * np.eye(vectors.shape[1])
        best = np.zeros((len(self.starts) - 1, vectors.shape[1]))
        for row in np.flatnonzero(np.diff(self.starts)).tolist():
            mine = slice(self.starts[row], self.starts[row + 1])
            known, weights = vectors[self.others[mine]], settings.alpha * self.liked[mine]
            best[row] = np.linalg.solve(base + (known.T * weights) @ known, known.T @ (1.0 + weights))
        return best


def _liked(liked: Floats, settings: Ease | Ials) -> Floats:
    """The likings that count. Raises :class:`FedMFError` if there are none."""
    if settings.rated_is_liked:
        return np.ones_like(liked)
    if not liked.any():
        raise FedMFError(
            f"model.{settings.name}: no training rating is more than a third up the scale, so nobody likes "
            f"anything: for clicks and plays set model.{settings.name}.rated_is_liked to true"
        )
    return liked


def _dense(train: RatingBlock, liked: Floats, items: int) -> Floats:
    """(users, items) likings, 0 for what was not rated."""
    users = len(train.starts) - 1
    matrix = np.zeros((users, items))
    matrix[np.repeat(np.arange(users), np.diff(train.starts)), train.items] = liked
    return matrix


def _epoch(train: RatingBlock, items: int, scores: Floats, user_change: float, item_change: float) -> Epoch:
    means = user_means(train)[:, None]
    return Epoch(means, np.ones((items, 1)), user_change, item_change, scores)
