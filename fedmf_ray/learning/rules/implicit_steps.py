"""The mathematics of the ``implicit`` rule, in operations whose bits do not depend on the CPU.

A liking x of user i for item j weighs w = alpha x and counts as a 1, everything else as a 0 (Hu, Koren and
Volinsky, ICDM 2008). Given all items, a user's best vector solves

    (V^T V + reg I + sum_j w_ij v_j v_j^T) u_i = sum_j (1 + w_ij) v_j,

for which nobody else is needed. Given all users, item j's best one solves

    (G + reg I + sum_i w_ij u_i u_i^T) v_j = B_j,    G = sum_i u_i u_i^T,    B_j = sum_i (1 + w_ij) u_i.

The sum in the middle has d(d + 1)/2 numbers per item. Instead, all items share its shape, that of
M = sum_i (sum_j w_ij) u_i u_i^T, and each has its own size, L_j = sum_i w_ij |u_i|^2:

    v_j = (G + reg I + L_j M / trace M)^-1 B_j.

With C C^T = G + reg I and C^-1 (M / trace M) C^-T = Q diag(e) Q^T, this is v_j = W (W^T B_j / (1 + L_j e))
with W = C^-T Q: one decomposition for all items.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import RatingBlock, inner
from fedmf_ray.learning.rules.ridge_steps import solve

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK = 128
"""Rows whose products are in memory at once."""

_MOST_SWEEPS = 40
_NEGLIGIBLE = 1e-28
"""Squares off the diagonal relative to all: what is left of a symmetric matrix when it counts as diagonal."""


def gram(rows: Floats, weights: Floats | None = None) -> Floats:
    """(d, d) the sum of w v v^T over rows (n, d); weights (n,) of 1 if not given."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for first in range(0, len(rows), _CHUNK):
        x = rows[first : first + _CHUNK]
        left = x if weights is None else x * weights[first : first + _CHUNK, None]
        total += np.add.reduce(left[:, :, None] * x[:, None, :], axis=0)
    return total


def user_vectors(items: Floats, base: Floats, block: RatingBlock, weights: Floats) -> Floats:
    """(users, d) each one's best vector. items: (items, d). base: (d, d) V^T V + reg I. weights: (ratings,)
    w, 0 for what a user does not like: it counts as everything else that it did not rate."""
    users = len(block.starts) - 1
    left, right = np.repeat(base[None], users, axis=0), np.zeros((users, len(base)))
    for user in range(users):
        mine = slice(block.starts[user], block.starts[user + 1])
        liked = weights[mine] > 0
        rows, w = items.take(block.items[mine][liked], axis=0), weights[mine][liked]
        left[user] += gram(rows, w)
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            right[user] += np.add.reduce((1.0 + w[part])[:, None] * rows[part], axis=0)
    return solve(left, right)


def item_vectors(sums: Floats, sizes: Floats, moments: Floats, weighted: Floats, reg: float) -> Floats:
    """(items, d) v_j from B (items, d), L (items,), G and M (d, d)."""
    size = len(moments)
    root = cholesky(moments + reg * np.eye(size))
    trace = float(np.add.reduce(np.diag(weighted).copy()))
    shape = weighted / trace if trace > 0 else np.zeros_like(weighted)
    half = forward(root, shape)
    values, rotation = eigen(forward(root, half.T.copy()))
    basis = backward(root, rotation)
    vectors = np.empty_like(sums)
    for first in range(0, len(sums), _CHUNK):
        part = slice(first, first + _CHUNK)
        along = inner(sums[part][:, None, :], basis.T[None].copy())
        along /= 1.0 + sizes[part][:, None] * np.maximum(values, 0.0)
        vectors[part] = inner(along[:, None, :], basis[None])
    return vectors


def cholesky(matrix: Floats) -> Floats:
    """(d, d) lower C with C C^T = a positive definite matrix."""
    left, root = matrix.copy(), np.zeros_like(matrix)
    for k in range(len(left)):
        root[k:, k] = left[k:, k] / np.sqrt(left[k, k])
        left[k + 1 :, k + 1 :] -= root[k + 1 :, k, None] * root[None, k + 1 :, k]
    return root


def forward(root: Floats, right: Floats) -> Floats:
    """C^-1 R for a lower C (d, d) and R (d, n)."""
    left = right.copy()
    for k in range(len(root)):
        left[k] /= root[k, k]
        left[k + 1 :] -= root[k + 1 :, k, None] * left[None, k]
    return left


def backward(root: Floats, right: Floats) -> Floats:
    """C^-T R for a lower C (d, d) and R (d, n)."""
    left = right.copy()
    for k in reversed(range(len(root))):
        left[k] /= root[k, k]
        left[:k] -= root[k, :k, None] * left[None, k]
    return left


def eigen(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues (d,) and vectors, as columns (d, d), of a symmetric matrix, by Jacobi rotations.

    Each step turns d / 2 pairs of coordinates that do not touch each other; in d - 1 steps every pair has its
    turn, as players in a tournament (Brent and Luk, SIAM J. Sci. Stat. Comput. 6(1), 1985).
    """
    size = len(matrix)
    work, vectors, players = (matrix + matrix.T) / 2, np.eye(size), size + size % 2
    order = np.arange(players)
    for _ in range(_MOST_SWEEPS):
        squares = work * work
        whole = float(squares.sum())
        squares[np.diag_indices(size)] = 0.0  # a difference of two sums would be lost in rounding
        if float(squares.sum()) <= _NEGLIGIBLE * whole:
            break
        for _ in range(players - 1):
            left, right = order[: players // 2], order[::-1][: players // 2]
            real = (left < size) & (right < size)
            _turn(work, vectors, np.minimum(left, right)[real], np.maximum(left, right)[real])
            order = np.concatenate([order[:1], order[-1:], order[1:-1]])
    return np.diag(work).copy(), vectors


def _turn(work: Floats, vectors: Floats, p: Integers, q: Integers) -> None:
    """Rotate so that the entries (p, q) become 0, for pairs without a common coordinate."""
    across = work[p, q]
    moved = across != 0
    p, q, across = p[moved], q[moved], across[moved]
    with np.errstate(over="ignore"):  # next to nothing to turn: an infinite slope is a tangent of 0
        slope = (work[q, q] - work[p, p]) / (2.0 * across)
        tangent = np.where(slope < 0, -1.0, 1.0) / (np.abs(slope) + np.sqrt(slope * slope + 1.0))
    cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
    sine = tangent * cosine
    upper, lower = work[p], work[q]
    work[p], work[q] = (
        cosine[:, None] * upper - sine[:, None] * lower,
        sine[:, None] * upper + cosine[:, None] * lower,
    )
    for matrix in (work, vectors):
        first, second = matrix[:, p], matrix[:, q]
        matrix[:, p], matrix[:, q] = cosine * first - sine * second, sine * first + cosine * second
