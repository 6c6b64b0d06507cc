"""Ratings from gradients in the clear: what the server of the unprotected protocol can compute.

Chai et al. (arXiv 1906.05108, section 3.2) prove that two rounds of one user's gradients give its ratings
away. This module carries it out, and needs less. Knowns: V of the round, the user's upload, the update
rule and its settings. Unknown: u and the ratings.

Row j of an upload holds learning_rate * (2 e_j u - 2 reg_item v_j); the server
strips what it knows and is left with g_j = e_j * u, e_j = r_j - <u, v_j>, up to rounding to the grid.
With g_j = c_j * w_j, w_j of length one, and s_j = |u| when the row was computed:

* ``batch``: all rows share w = u / s, and  r_j = c_j / s + s <w, v_j>.
* ``sequential``: u moves with each rating, u_k = a u_{k-1} + 2 learning_rate e_k v_k with
  a = 1 - 2 learning_rate reg_user, and row k holds e_k u_k with e_k = r_k - <u_{k-1}, v_k>. Hence
  r_k = (c_k / s_k) (1 - 2 learning_rate |v_k|**2 / a) + s_k <w_k, v_k> / a:
  again a function of that row's s_k alone. The server need not know the order of the ratings.

**Grid attack** (one round). Ratings lie on a known grid, so one row (the *anchor*) leaves a handful of
lengths: the roots s of t s**2 - r s + c p = 0 for each r on the grid. Each is carried from row to row along
the minimal spanning tree of directions (rows joined by it have nearly the same length), the rating rounded to
the grid and the length put right from it, and the candidate under which all ratings fall on the grid wins.
Rounding errors do not accumulate, which is why this survives 20 fraction bits. A user with one or two ratings
leaves several candidates; then the next round decides, by the direction that u must have moved to.

**Closed forms** (the paper's proof): no grid of ratings is assumed; they need gradients as good as floats.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.rules.gradient import Batch, GradientRule, Sequential

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

READ: dict[str, GradientRule] = {rule.name: rule for rule in (Sequential(), Batch())}
"""The rules whose uploads these attacks can read."""

_FEW = 3
"""Users with up to this many ratings can fit several candidates by chance; the next round decides."""

_LARGEST_MOVE = 0.05
"""Between rows joined by the tree, s changes by less than this share; a larger change is a wrong root."""


_CLOSE = 0.05
"""Stars. Candidates whose ratings lie this much farther from the grid, on average, are still in question."""

Following = tuple[Floats, Floats]


class Rows(NamedTuple):
    """One user's upload of one round, stripped of what the server knows: e_j * u = c_j * w_j.

    item_vectors: (k, d) v_j. strength: (k,) c_j, signed. directions: (k, d) unit vectors w_j, all on one
    side. slope, ratio: (k,) t_j and p_j of r_j = c_j p_j / s_j + s_j t_j.
    """

    item_vectors: Floats
    strength: Floats
    directions: Floats
    slope: Floats
    ratio: Floats

    def rating(self, at: int | slice, length: Floats | float) -> Floats:
        return np.asarray(self.strength[at] * self.ratio[at] / length + length * self.slope[at])


def strip(uploaded: Floats, item_vectors: Floats, rule: str, steps: Steps) -> Rows:
    """Rows of an upload (k, d) for the given item vectors (k, d)."""
    gradients = uploaded / (2 * steps.learning_rate) + steps.reg_item * item_vectors
    main = np.linalg.svd(gradients, full_matrices=False)[2][0]
    if rule == "batch":
        directions = np.broadcast_to(main, gradients.shape)
        strength = gradients @ main
        keep, ratio = 1.0, np.ones(len(gradients))
    elif rule == "sequential":
        norms = np.linalg.norm(gradients, axis=1)
        units = gradients / np.where(norms > 0, norms, 1.0)[:, None]
        units[norms == 0] = main
        side = np.where(units @ main < 0, -1.0, 1.0)
        directions, strength = units * side[:, None], norms * side
        keep = 1 - 2 * steps.learning_rate * steps.reg_user
        ratio = 1 - 2 * steps.learning_rate * np.sum(item_vectors**2, axis=1) / keep
    else:
        raise ValueError(f"no attack is known on rule {rule!r}")
    slope = np.sum(directions * item_vectors, axis=1) / keep
    return Rows(item_vectors, strength, directions, slope, ratio)


def recover(
    rows: Rows, rule: str, steps: Steps, grid: Floats, following: Following | None = None
) -> tuple[Floats, Floats, float]:
    """The grid attack on one user.

    grid: the possible ratings, evenly spaced and increasing. following: the same user's upload of the
    next round, in the same order, and its item vectors. Returns (k,) ratings, (d,) the user vector
    of the anchor row, and how far from the grid the ratings lie on average.
    """
    anchor = int(np.argmax(np.abs(rows.strength)))
    lengths, signs = _candidates(rows, anchor, grid)
    if not len(lengths):
        middle = grid[len(grid) // 2]
        return np.full(len(rows.strength), middle), np.zeros(rows.directions.shape[1]), np.inf
    order, parents = _tree(rows.directions, anchor, rule)
    ratings = np.empty((len(lengths), len(rows.strength)))
    paths = np.empty_like(ratings)
    cost = np.zeros(len(lengths))
    for at in order:
        near = lengths if at == anchor else paths[:, parents[at]]
        seen = signs * rows.rating(at, near)
        ratings[:, at] = nearest(seen, grid)
        cost += np.abs(seen - ratings[:, at])
        paths[:, at] = near if rule == "batch" else _corrected(rows, at, signs * ratings[:, at], near)
    best = int(np.argmin(cost))
    if following is not None and len(rows.strength) <= _FEW:
        close = np.flatnonzero(cost <= cost[best] + _CLOSE * stars(grid) * len(rows.strength))
        pairs = [(ratings[at], signs[at] * paths[at]) for at in close]
        best = int(close[_predicts_best(rows, rule, steps, pairs, following)])
    vector = signs[best] * paths[best, anchor] * rows.directions[anchor]
    return ratings[best], vector, float(cost[best] / len(rows.strength))


def _candidates(rows: Rows, anchor: int, grid: Floats) -> tuple[Floats, Floats]:
    """Lengths s > 0 that put the anchor's rating on the grid, and the sign of u along the directions."""
    slope, product = rows.slope[anchor], rows.strength[anchor] * rows.ratio[anchor]
    signs = np.repeat([1.0, -1.0], len(grid))
    linear = signs * np.tile(grid, 2)
    # A double root turns imaginary by rounding: keep it.
    root = np.sqrt(np.maximum(linear**2 - 4 * slope * product, 0.0))
    possible = linear**2 - 4 * slope * product > -0.05 * linear**2 - 1e-12
    if abs(slope) < 1e-9:
        lengths, both = product / linear, signs
    else:
        lengths = np.concatenate([(linear + root), (linear - root)]) / (2 * slope)
        both, possible = np.tile(signs, 2), np.tile(possible, 2)
    good = possible & (lengths > 1e-6) & np.isfinite(lengths)
    return lengths[good], both[good]


def _corrected(rows: Rows, at: int, rating: Floats, near: Floats) -> Floats:
    """The lengths that give a row exactly these ratings, where that is close to the length of the row
    before."""
    slope, product = rows.slope[at], rows.strength[at] * rows.ratio[at]
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(rating**2 - 4 * slope * product)
        pair = np.stack([(rating + root), (rating - root)]) / (2 * slope)
    distance = np.where(np.isfinite(pair), np.abs(pair - near), np.inf)
    closer = np.where(distance[0] < distance[1], pair[0], pair[1])
    return np.where(distance.min(axis=0) < _LARGEST_MOVE * near, closer, near)


def _tree(directions: Floats, root: int, rule: str) -> tuple[list[int], Integers]:
    """Rows in the order of a minimal spanning tree of directions (Prim), and each one's parent."""
    count = len(directions)
    parents = np.full(count, root)
    order = [root]
    if rule == "batch":  # one direction for all: a star
        return order + [at for at in range(count) if at != root], parents
    closest = np.full(count, -2.0)
    waiting = np.ones(count, bool)
    waiting[root] = False
    for _ in range(count - 1):
        cosine = directions @ directions[order[-1]]
        better = waiting & (cosine > closest)
        closest[better], parents[better] = cosine[better], order[-1]
        order.append(int(np.argmax(np.where(waiting, closest, -3.0))))
        waiting[order[-1]] = False
    return order, parents


def _predicts_best(
    rows: Rows, rule: str, steps: Steps, candidates: list[tuple[Floats, Floats]], following: Following
) -> int:
    """Which candidate (ratings, lengths) predicts the next round's upload best, in whatever order the user
    went through its ratings."""
    observed, items = following
    everything, stepping = np.arange(len(items)), READ[rule]
    best, chosen = np.inf, 0
    for number, (ratings, lengths) in enumerate(candidates):
        ends = lengths[:, None] * rows.directions
        for order in map(list, itertools.permutations(everything)):
            block = RatingBlock(np.array([0, len(order)]), everything[order], ratings[order])
            if rule == "batch":
                start = stepping.step(ends[:1], rows.item_vectors, block, steps)[0]
            else:
                start = ends[order[-1:]]  # where the row that came last left the user vector
            _, added = stepping.step(start, items, block, steps)
            error = float(np.linalg.norm(added - observed[order]))
            if error < best:
                best, chosen = error, number
            if rule == "batch":
                break
    return chosen


def stars(grid: Floats) -> float:
    """How long the half star of a scale is, relative to that of 0.5 to 5: what tolerances are given in."""
    return float(grid[1] - grid[0]) / 0.5


def nearest(values: Floats, grid: Floats) -> Floats:
    spacing = grid[1] - grid[0]
    return np.asarray(np.clip(grid[0] + spacing * np.rint((values - grid[0]) / spacing), grid[0], grid[-1]))
