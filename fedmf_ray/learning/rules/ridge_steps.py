"""The mathematics of the ``ridge`` rule: exact vectors of users, and item steps that are only sums.

The model is r_ij = mean + b_i + b_j + <u_i, v_j>. Given all items, the best (u_i, b_i) of a user is a ridge
regression on its own ratings, which nobody else is needed for. Given all users, the loss of item j,

    sum_i (r_ij - mean - b_i - b_j - <u_i, v_j>)**2 + reg_item |v_j|**2 + reg_item_bias b_j**2,

curves no more than (1 + 1/BALANCE) L_j + reg_item along v_j and (1 + BALANCE) n_j + reg_item_bias along b_j,
taken together, where L_j = sum_i |u_i|**2 over its n_j raters. A gradient divided by these never overshoots
(a majoriser is minimised), and it is a sum of what each rater works out by itself once it knows L_j and n_j:
both are columns of the encrypted row, to which raters add their parts. Each of the raters that are in n_j
carries 1/n_j of the regulariser.

Nobody knows n_j in the first round. So a row does not hold v_j and b_j but (n_j + c) / (1 + c) times those,
where c is how many raters weigh as much as the regulariser. Raters add as much more than their steps. For the
bias that makes a number which does not depend on n_j, and for the factors too where everybody's |u_i|**2 is
the smallest on its grid, as it nearly is when vectors are young; with a longer one a user takes what many
raters like itself would: a shorter step, never a longer one. Users divide when n_j has arrived. Who counts
itself adds 1 / (1 + c) of the value, too, so that it stays where it is. docs/quality.md derives all this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import RatingBlock, Steps, inner
from fedmf_ray.learning.items import Items, item_columns
from fedmf_ray.learning.rules.base import Setting

Floats = NDArray[np.float64]

CURVATURE = "curvature"
"""The column of L_j."""

BALANCE = 3.0
"""How much more room the factors get than the bias: x y <= BALANCE x**2 / 2 + y**2 / (2 BALANCE) splits the
two. Biases settle within a few rounds whatever it is. Chosen on validation sets (docs/quality.md)."""

RELAXATION = 1.6
"""Steps are this much longer than the majoriser's own; below 2 they still cannot overshoot."""

CURVATURE_BITS = 7
"""Fraction bits of |u_i|**2 in L_j, which only scales steps. It is rounded up: they still cannot
overshoot."""

LARGEST_CURVATURE = 16.0
"""Bound of a user's part of L_j. One with a longer vector takes steps that are shorter by as much."""

_FEWEST = 48.0
"""Least c of the factors: with a smaller one, first steps would be long, and the start lost in rounding."""

_BIAS_BITS = 9
"""Fraction bits of a lone rater's step of b_j, at most, before it is divided by 1 + c."""

_FLOOR = 0.25
"""L_j below this share of n_j times a rater's own part is out of date: users came, or came back."""

_CHUNK = 128
"""Ratings whose products are in memory at once: (128, 32, 32) is a megabyte."""


@dataclass(frozen=True)
class RaterSums:
    """What the columns of v_j and b_j are over the values that they stand for: (n_j + c) / (1 + c).

    prior: how many raters weigh as much as what an item starts from: c for v_j, and for b_j if there are
    biases.
    """

    factors: int
    prior: tuple[float, ...]

    @classmethod
    def of(cls, setting: Setting) -> RaterSums:
        """For the factors, as many raters with the smallest |u_i|**2 on its grid as weigh as much as the
        item's regulariser."""
        steps = setting.steps
        prior = [max(_FEWEST, steps.reg_item * (1 << CURVATURE_BITS) / (1.0 + 1.0 / BALANCE))]
        if setting.biases:
            prior.append(steps.reg_item_bias / (1.0 + BALANCE))
        return cls(setting.factors, tuple(prior))

    @property
    def bias(self) -> bool:
        return len(self.prior) > 1

    def weights(self, raters: Floats) -> Floats:
        """(n, predictors) for rows with so many raters, (n,)."""
        return np.asarray((raters[:, None] + self._priors) * self.shares)

    @property
    def shares(self) -> Floats:
        """(predictors,) by how much the weights grow with each rater: 1 / (1 + c)."""
        return np.asarray(1.0 / (1.0 + self._priors))

    @property
    def _priors(self) -> Floats:
        return np.repeat(self.prior, [self.factors, 1][: len(self.prior)])


def bias_bits(sums: RaterSums) -> int:
    """Fraction bits that the column of b_j needs: the more, the less of a step is a rater's own."""
    return _BIAS_BITS + math.ceil(math.log2(1.0 + sums.prior[1]))


def refit(items: Items, block: RatingBlock, steps: Steps, bias: bool) -> Floats:
    """(users, d) or with biases (users, d + 1): each user's best vector and bias, given all items.

    block: ratings minus the mean. A user's result has the same bits in any company and on any CPU.
    """
    width = items.vectors.shape[1] - bias  # v_j and 1; b_j is subtracted
    penalty = np.full(width, steps.reg_user)
    if bias:
        penalty[-1] = steps.reg_user_bias
    done = compiled.refit(items.vectors, *block, penalty, bias)
    if done is not None:
        return done
    users = len(block.starts) - 1
    gram, right = np.zeros((users, width, width)), np.zeros((users, width))
    for at in range(users):
        for first in range(block.starts[at], block.starts[at + 1], _CHUNK):
            mine = slice(first, min(first + _CHUNK, int(block.starts[at + 1])))
            rows = items.vectors.take(block.items[mine], axis=0)
            x, y = rows[:, :width], block.values[mine]
            if bias:
                y = y - rows[:, width]
            gram[at] += np.add.reduce(x[:, :, None] * x[:, None, :], axis=0)
            right[at] += np.add.reduce(x * y[:, None], axis=0)
    gram[:, np.arange(width), np.arange(width)] += penalty
    return solve(gram, right)


def solve(matrices: Floats, right: Floats) -> Floats:
    """x of (n, m, m) x = (n, m) for symmetric positive definite matrices, which are overwritten.

    Elimination in elementwise operations: LAPACK's bits would depend on the CPU.
    """
    size = right.shape[1]
    for k in range(size):
        factor = matrices[:, k + 1 :, k] / matrices[:, k, k, None]
        matrices[:, k + 1 :, k + 1 :] -= factor[:, :, None] * matrices[:, k, None, k + 1 :]
        right[:, k + 1 :] -= factor * right[:, k, None]
    solution = np.empty_like(right)
    for k in reversed(range(size)):
        known = inner(matrices[:, k, k + 1 :], solution[:, k + 1 :])
        solution[:, k] = (right[:, k] - known) / matrices[:, k, k]
    return solution


def curvatures(vectors: Floats, factors: int) -> Floats:
    """(users,) each one's part of L_j: |u_i|**2 of (users, d or d + 1), on its grid and within its bound."""
    exact, scale = squared_lengths(vectors, factors), float(1 << CURVATURE_BITS)
    return np.minimum(np.ceil(exact * scale) / scale, LARGEST_CURVATURE)


def squared_lengths(vectors: Floats, factors: int) -> Floats:
    """(users,) |u_i|**2; the bias does not count."""
    return inner(vectors[:, :factors], vectors[:, :factors])


class Raters(NamedTuple):
    """What the users of a block know of themselves beside their vectors.

    part: (ratings,) how much of L_j is theirs as it stands. counted: (users,) 1 if they are in n_j already,
    0 if not. now: (users,) what their parts of L_j would be now.
    """

    part: Floats
    counted: Floats
    now: Floats


def item_steps(
    vectors: Floats, items: Items, block: RatingBlock, steps: Steps, raters: Raters, sums: RaterSums
) -> Floats:
    """(ratings, d or d + 1) what is added to the columns of v_j and b_j.

    vectors: (users, d or d + 1) of the users in the block. A user who is not in L_j and n_j yet, or not with
    all of its part, adds what is missing of its own before it divides by them.
    """
    factors, bias = sums.factors, sums.bias
    done = _compiled_steps(vectors, items, block, steps, raters, sums)
    if done is not None:
        return done
    owners = np.repeat(np.arange(len(vectors)), np.diff(block.starts))
    rows, u = items.vectors.take(block.items, axis=0), vectors.take(owners, axis=0)
    v = rows[:, :factors]
    error = block.values - inner(u[:, :factors], v)
    if bias:
        error -= u[:, factors] + rows[:, -1]
    missing, now = (1.0 - raters.counted)[owners], raters.now[owners]
    exact = squared_lengths(vectors, factors)
    shorter = np.minimum(1.0, np.divide(LARGEST_CURVATURE, exact, out=np.ones_like(exact), where=exact > 0))
    gradient = (error * shorter[owners])[:, None] * u[:, :factors]
    result = np.empty((len(block.items), factors + bias))
    if items.raters is None:
        scale, pulls = first_scale(now, sums), np.zeros(len(v))
    else:
        count = items.raters[block.items] + missing
        known = items.columns[CURVATURE][:, 0][block.items]
        curvature = _current(known, count, now, now - raters.part)
        scale, pulls = step_scale(count, curvature, steps, sums), (1.0 - missing) / count
    gradient -= (steps.reg_item * pulls)[:, None] * v
    np.multiply(gradient, scale[:, None], out=result[:, :factors])
    if bias:
        result[:, factors] = (error - steps.reg_item_bias * pulls * rows[:, -1]) * bias_scale(steps)
    if missing.any():
        result += standing(rows, missing, sums)
    return result


def _compiled_steps(
    vectors: Floats, items: Items, block: RatingBlock, steps: Steps, raters: Raters, sums: RaterSums
) -> Floats | None:
    """The same from compiled code, to the last bit, where there is any."""
    columns = None if items.raters is None else (items.raters, items.columns[CURVATURE][:, 0])
    along = 1.0 + 1.0 / BALANCE
    constants = [steps.reg_item, steps.reg_item_bias, along, RELAXATION, sums.prior[0], _FLOOR]
    constants += [LARGEST_CURVATURE, bias_scale(steps) if sums.bias else 0.0]
    of_users = raters.part, raters.counted, raters.now, first_scale(raters.now, sums)
    return compiled.item_steps(
        vectors,
        items.vectors,
        block,
        columns,
        of_users,
        sums.shares,
        np.array(constants),
        sums.factors,
        sums.bias,
    )


def standing(rows: Floats, missing: Floats, sums: RaterSums) -> Floats:
    """(ratings, d or d + 1) steps that leave values where they are although n_j grows.

    rows: (ratings, d or d + 2) as users read them. missing: (ratings,) 1 of who counts itself, else 0.
    """
    return np.asarray(missing[:, None] * item_columns(rows, sums.factors, sums.bias) * sums.shares)


def step_scale(count: Floats, curvature: Floats, steps: Steps, sums: RaterSums) -> Floats:
    """(k,) what e_ij u_i is multiplied by in rows with so many raters and such a curvature."""
    along = (1.0 + 1.0 / BALANCE) * curvature + steps.reg_item
    prior = sums.prior[0]
    return RELAXATION * (count + prior) / ((1.0 + prior) * along)


def first_scale(now: Floats, sums: RaterSums) -> Floats:
    """(k,) the same while nobody knows n_j: as if all raters were like oneself, for the n_j with the shortest
    step. now: (k,) |u_i|**2 on its grid."""
    along = (1.0 + 1.0 / BALANCE) * np.maximum(now, 1.0 / (1 << CURVATURE_BITS))
    return RELAXATION / ((1.0 + sums.prior[0]) * along)


def bias_scale(steps: Steps) -> float:
    """What e_ij is multiplied by in the column of b_j, whatever n_j is: a lone rater's step."""
    return RELAXATION / (1.0 + BALANCE + steps.reg_item_bias)


def _current(known: Floats, count: Floats, now: Floats, growth: Floats) -> Floats:
    """(k,) L_j as a rater estimates it: what is known and its own growth. Where nothing is known it assumes
    that the other raters are like itself, as in the round after a census."""
    like_me = count * now
    current = np.maximum(known + np.maximum(growth, 0.0), _FLOOR * like_me)
    return np.where(known > 0, current, like_me)
