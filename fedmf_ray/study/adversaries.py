"""The adversaries at work on a view, and the score, which only those keep who know the truth."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.factors import RatingBlock
from fedmf_ray.privacy import closed_forms, gradients, membership, participant, ridge
from fedmf_ray.privacy.views import Agreed, ClearView, SealedView, UserView, View, consecutive
from fedmf_ray.ratings.table import UserRatings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FRESH_ROUNDS = (1, 2, 3, 5)
"""Rounds over which a server would intersect uploads if decoys were drawn afresh every round."""


@dataclass(frozen=True)
class Finding:
    """What one attack made of one view. Shares are of 1.

    round: the first round it read; rounds: how many it needs. ratings: how many training ratings there
    are. recovered: the share of them that the attack named exactly. users: how many users lost at least
    one. rated_precision, rated_recall: of the (user, item) pairs that it took for rated. cpu_s: of the
    attack, one core, all users.
    """

    adversary: str
    attack: str
    round: int
    rounds: int
    ratings: int
    recovered: float
    users: int
    rated_precision: float | None
    rated_recall: float | None
    cpu_s: float


class Truth:
    """Who trained on which ratings: for the scorer alone."""

    def __init__(self, users: Sequence[UserRatings]) -> None:
        self.of = {
            user.user_id: dict(zip(user.items.tolist(), user.values.tolist(), strict=True)) for user in users
        }
        self.count = sum(map(len, self.of.values()))

    def right(self, user_id: int, rows: Integers, ratings: Floats, step: float) -> int:
        """How many of these ratings the user has."""
        return len(self.which_right(user_id, rows, ratings, step))

    def which_right(self, user_id: int, rows: Integers, ratings: Floats, step: float) -> list[int]:
        """The rows that the user rated so."""
        mine = self.of.get(user_id, {})
        pairs = zip(rows.tolist(), ratings.tolist(), strict=True)
        return [row for row, rating in pairs if row in mine and abs(mine[row] - rating) < step / 2]

    def owner(self, rows: Integers, but: int | None = None) -> int:
        """Who rated most of these rows, but for one."""
        return max((user for user in self.of if user != but), key=lambda user: self.rated(user, rows))

    def rated(self, user_id: int, rows: Integers) -> int:
        mine = self.of.get(user_id, {})
        return sum(row in mine for row in rows.tolist())


def after_the_census(agreed: Agreed, views: list[View]) -> list[View]:
    """Rounds in which something is learned; refuses what no attack here can read."""
    if agreed.rule != "ridge" and agreed.biases:
        raise FedMFError(f"model.biases: no attack here reads them under rule {agreed.rule} (ridge: yes)")
    learning = [view for view in views if view.round > 0] if agreed.census else views
    if not learning:
        raise FedMFError("the view holds the census alone, and nothing is learned in it (observe.rounds)")
    return learning


def server_that_reads(agreed: Agreed, views: Sequence[View], truth: Truth, grid: Floats) -> Iterator[Finding]:
    """Gradients in the clear, or decrypted by a colluding user."""
    name = "server" if agreed.scheme == "plain" else "server with a user's key"
    step, ridge_rule = float(grid[1] - grid[0]), agreed.rule == "ridge"
    telling = None if ridge_rule else agreed.layout.learned or None
    pairs: list[tuple[View, View | None]] = list(consecutive(views))
    for view, after in pairs or [(views[0], None)]:
        assert isinstance(view, ClearView)
        later = {u.user_id: u.values for u in after.uploads} if isinstance(after, ClearView) else {}
        attacks: dict[str, Callable[..., Floats]] = {"grid": _grid_attack, "closed form": _closed_form}
        if ridge_rule:
            first = not view.items[:, -1].any()  # nobody has counted itself yet
            attacks = {"flat loss": functools.partial(_ridge_attack, first=first)}
        for attack, recover in attacks.items():
            started, guesses = cpu_clock(), []
            for upload in view.uploads:
                # Zeros fill up a full text, and stand for items with too few raters.
                rated = upload.values[:, :telling].any(axis=1)
                rows = upload.rows[rated]
                if len(rows):
                    following = None
                    if isinstance(after, ClearView) and upload.user_id in later:
                        following = (later[upload.user_id][rated], after.items[rows])
                    guess = recover(agreed, upload.values[rated], view.items[rows], grid, following)
                    guesses.append((upload.user_id, rows, guess))
            cpu_s = cpu_clock() - started
            right = [truth.right(user_id, rows, guess, step) for user_id, rows, guess in guesses]
            taken = sum(len(rows) for _, rows, _ in guesses)
            rated_right = sum(truth.rated(user_id, rows) for user_id, rows, _ in guesses)
            alone = after is None or ridge_rule
            alone = alone or (attack == "closed form" and agreed.rule == "sequential")
            lost = sum(count > 0 for count in right)
            yield Finding(
                name, attack, view.round, 1 if alone else 2, truth.count, sum(right) / truth.count, lost,
                rated_right / taken if taken else None, rated_right / truth.count, cpu_s,
            )  # fmt: skip


def _grid_attack(
    agreed: Agreed, values: Floats, items: Floats, grid: Floats, following: tuple[Floats, Floats] | None
) -> Floats:
    d = agreed.layout.factors or None  # the other columns are counts
    rows = gradients.strip(values[:, :d], items[:, :d], agreed.rule, agreed.steps)
    if following is not None:
        following = following[0][:, :d], following[1][:, :d]
    return gradients.recover(rows, agreed.rule, agreed.steps, grid, following)[0]


def _ridge_attack(
    agreed: Agreed,
    values: Floats,
    items: Floats,
    grid: Floats,
    following: tuple[Floats, Floats] | None,
    first: bool,
) -> Floats:
    return ridge.recover(values, items, agreed.layout, agreed.steps, grid, first)


def _closed_form(
    agreed: Agreed, values: Floats, items: Floats, grid: Floats, following: tuple[Floats, Floats] | None
) -> Floats:
    d = agreed.layout.factors or None
    rows = gradients.strip(values[:, :d], items[:, :d], agreed.rule, agreed.steps)
    if agreed.rule == "sequential":
        return closed_forms.consecutive(rows, agreed.steps)
    if following is None:
        return np.full(len(values), np.nan)
    later = gradients.strip(following[0][:, :d], following[1][:, :d], agreed.rule, agreed.steps)
    return closed_forms.two_rounds(rows, later, agreed.steps)


def server_that_cannot(agreed: Agreed, views: Sequence[View], truth: Truth) -> Iterator[Finding]:
    """Ciphertexts: no rating, but numbers of blocks, any row of which may be a rated one."""
    uploads = [{u.user_id: u.rows for u in view.uploads} for view in views if isinstance(view, SealedView)]
    yield Finding("server", "ciphertexts", views[0].round, 1, truth.count, 0.0, 0, None, None, 0.0)
    users = list(uploads[0])
    rounds = [[_rows_of(one[user], agreed) for user in users] for one in uploads]
    started = cpu_clock()
    yield _rated("uploaded rows", rounds[:1], users, truth, started, views[0].round)
    if len(rounds) > 1:
        started = cpu_clock()
        yield _rated(f"intersection of {len(rounds)} rounds", rounds, users, truth, started, views[0].round)
    if 0 < agreed.least_rows < agreed.items and agreed.rows_per_block == 1:
        started = cpu_clock()
        likely = membership.suspected(rounds[0], agreed.items, agreed.least_rows)
        guess = [rows[p > 0.5] for rows, p in zip(rounds[0], likely, strict=True)]
        yield _rated("uploaded rows, by popularity", [guess], users, truth, started, views[0].round)
        for count in FRESH_ROUNDS:
            weakened = [_redrawn(agreed, users, rounds[0], truth, seed) for seed in range(count)]
            started = cpu_clock()
            yield _rated(
                f"WEAKENED: fresh decoys, {count} rounds", weakened, users, truth, started, views[0].round
            )


def _rows_of(blocks: Integers, agreed: Agreed) -> Integers:
    rows = (blocks[:, None] * agreed.rows_per_block + np.arange(agreed.rows_per_block)).ravel()
    return rows[rows < agreed.items]


def _redrawn(
    agreed: Agreed, users: Sequence[int], uploads: Sequence[Integers], truth: Truth, seed: int
) -> list[Integers]:
    """What users would upload if decoys were drawn afresh: a protocol weakened on purpose."""
    random, weaker = np.random.default_rng(seed), []
    for user, rows in zip(users, uploads, strict=True):
        rated = np.array(sorted(truth.of[user]), np.int64)
        others = np.setdiff1d(np.arange(agreed.items), rated)
        weaker.append(np.concatenate([rated, random.choice(others, len(rows) - len(rated), replace=False)]))
    return weaker


def _rated(
    attack: str,
    rounds: Sequence[Sequence[Integers]],
    users: Sequence[int],
    truth: Truth,
    started: float,
    first: int,
) -> Finding:
    """Take every row that a user uploads in all rounds for rated."""
    guess = membership.intersection(rounds)
    cpu_s = cpu_clock() - started
    right = sum(truth.rated(user, rows) for user, rows in zip(users, guess, strict=True))
    taken = sum(map(len, guess))
    return Finding("server", attack, first, len(rounds), truth.count, 0.0, 0,
                   right / taken if taken else None, right / truth.count, cpu_s)  # fmt: skip


def curious_user(agreed: Agreed, views: Sequence[View], truth: Truth, grid: Floats) -> Iterator[Finding]:
    pairs = list(consecutive(views))
    if not pairs:
        raise FedMFError(
            "the view holds no two consecutive rounds, which a curious user needs (observe.rounds)"
        )
    step = float(grid[1] - grid[0])
    for before, after in pairs:
        assert isinstance(before, UserView)
        assert isinstance(after, UserView)
        layout, d = agreed.layout, agreed.layout.factors or None
        started = cpu_clock()
        groups: Sequence[participant.Found]
        if agreed.rule == "ridge":
            groups = ridge.recover_from_changes(before.items, after.items, layout, agreed.steps, grid)
        else:
            changes = before.items[:, :d], after.items[:, :d]
            groups = participant.recover_from_changes(*changes, agreed.rule, agreed.steps, grid)
        cpu_s = cpu_clock() - started
        # A group is laid at the door of the user who rated most of its rows.
        owners = [truth.owner(found.rows) for found in groups]
        right = [truth.right(user, *found, step) for user, found in zip(owners, groups, strict=True)]
        rated = sum(truth.rated(user, found.rows) for user, found in zip(owners, groups, strict=True))
        taken = sum(len(found.rows) for found in groups)
        lost = {user for user, count in zip(owners, right, strict=True) if count}
        yield Finding(
            "curious user", "changes of V", before.round, 2, truth.count, sum(right) / truth.count, len(lost),
            rated / taken if taken else None, rated / truth.count, cpu_s,
        )  # fmt: skip
        if agreed.rule == "ridge":
            yield _linked(before.round, ridge.linked_by_curvature(after.items, layout), truth)
            if agreed.biases and not before.items[:, layout.learned].any():
                yield _insiders(agreed, before, after, truth, grid)


def _insiders(agreed: Agreed, before: UserView, after: UserView, truth: Truth, grid: Floats) -> Finding:
    """Every user in turn is curious, and takes away its own steps: what all of them together have named."""
    step, started = float(grid[1] - grid[0]), cpu_clock()
    named: set[tuple[int, int]] = set()
    taken = rated = 0
    for insider, mine in truth.of.items():
        rows, values = np.array(sorted(mine), np.int64), np.array([mine[row] for row in sorted(mine)])
        own = RatingBlock.of([(rows, values - agreed.mean)])
        groups = ridge.recover_beside(
            own, before.items, after.items, agreed.layout, agreed.steps, grid, agreed.min_raters
        )
        for found in groups:
            victim = truth.owner(found.rows, but=insider)
            taken, rated = taken + len(found.rows), rated + truth.rated(victim, found.rows)
            right = truth.which_right(victim, *found, step)
            named |= {(victim, row) for row in right}
    victims, share = {victim for victim, _ in named}, len(named) / truth.count
    return Finding("curious user", "pairs of raters, less its own", before.round, 2, truth.count, share,
                   len(victims), rated / taken if taken else None, share, cpu_clock() - started)  # fmt: skip


def _linked(round_number: int, groups: list[Integers], truth: Truth) -> Finding:
    """Rows that the column of curvatures says are one person's, laid at the door of whom most of them are."""
    right = sum(truth.rated(truth.owner(rows), rows) for rows in groups)
    taken = sum(map(len, groups))
    return Finding("curious user", "equal L of lone raters", round_number, 1, truth.count, 0.0, 0,
                   right / taken if taken else None, right / truth.count, 0.0)  # fmt: skip
