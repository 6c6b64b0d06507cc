"""Scores attacks against the true ratings, which no adversary has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.privacy import membership
from fedmf_ray.privacy.adversaries import Attempt, Guess, Seen, attempts, has_decoys, uploaded_rows
from fedmf_ray.privacy.views import Agreed, SealedView
from fedmf_ray.ratings.table import UserRatings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FRESH_ROUNDS = (1, 2, 3, 5)
"""Rounds over which a server would intersect uploads if decoys were drawn afresh every round."""


@dataclass(frozen=True)
class Finding:
    """What one attack made of one view. Shares are of 1.

    round: the first round it read; rounds: how many it needs. ratings: how many training ratings there
    are. recovered: the share of them that the attack named exactly; None if no attack is known. readable:
    whether the adversary reads all uploads anyway. users: how many users lost at least one rating.
    rated_precision, rated_recall: of the (user, item) pairs that it took for rated. cpu_s: of the attack, one
    core, all users.
    """

    adversary: str
    attack: str
    round: int
    rounds: int
    ratings: int
    recovered: float | None
    users: int
    rated_precision: float | None
    rated_recall: float | None
    cpu_s: float
    readable: bool = False


class Truth:
    """Who trained on which ratings: for the scorer alone."""

    def __init__(self, users: Sequence[UserRatings]) -> None:
        self.of = {
            user.user_id: dict(zip(user.items.tolist(), user.values.tolist(), strict=True)) for user in users
        }
        self.count = sum(map(len, self.of.values()))

    def right(self, user_id: int, rows: Integers, ratings: Floats, step: float) -> list[int]:
        """The rows that the user rated so."""
        mine = self.of.get(user_id, {})
        pairs = zip(rows.tolist(), ratings.tolist(), strict=True)
        return [row for row, rating in pairs if row in mine and abs(mine[row] - rating) < step / 2]

    def rated(self, user_id: int, rows: Integers) -> list[int]:
        """Those of the rows that the user rated."""
        mine = self.of.get(user_id, {})
        return [row for row in rows.tolist() if row in mine]

    def owner(self, guess: Guess) -> int:
        """Which user a guess is about. If it names none: the user who rated most of its rows."""
        if guess.user_id is not None:
            return guess.user_id
        others = (user for user in self.of if user not in guess.but)
        return max(others, key=lambda user: len(self.rated(user, guess.rows)))

    def each(self) -> Iterator[tuple[int, Integers, Floats]]:
        """Every user in turn with its own ratings, by row."""
        for user, mine in self.of.items():
            yield user, np.array(sorted(mine), np.int64), np.array([mine[row] for row in sorted(mine)])


def findings(seen: Seen, truth: Truth) -> Iterator[Finding]:
    """Play every adversary that a view allows, and score it."""
    for source in (attempts(seen), weakened(seen, truth)):
        while True:
            started = cpu_clock()
            attempt = next(source, None)
            cpu_s = cpu_clock() - started
            if attempt is None:
                break
            yield score(attempt, truth, float(seen.scale[1] - seen.scale[0]), cpu_s)


def score(attempt: Attempt, truth: Truth, step: float, cpu_s: float) -> Finding:
    """step: of the rating scale; a rating is recovered if it is off by less than half of it."""
    right, rated, taken, hits = set[tuple[int, int]](), set[tuple[int, int]](), 0, 0
    for guess in attempt.guesses or ():
        owner = truth.owner(guess)
        known = truth.rated(owner, guess.rows)
        taken, hits = taken + len(guess.rows), hits + len(known)
        rated |= {(owner, row) for row in known}
        if guess.ratings is not None:
            right |= {(owner, row) for row in truth.right(owner, guess.rows, guess.ratings, step)}
    unknown = attempt.guesses is None and not attempt.sealed
    return Finding(
        attempt.adversary, attempt.attack, attempt.round, attempt.rounds, truth.count,
        None if unknown else len(right) / truth.count, len({user for user, _ in right}),
        hits / taken if taken else None, None if attempt.guesses is None else len(rated) / truth.count,
        cpu_s, attempt.readable,
    )  # fmt: skip


def weakened(seen: Seen, truth: Truth) -> Iterator[Attempt]:
    """What a server would learn if decoys were drawn afresh in every round: a protocol weakened on
    purpose."""
    if not (isinstance(seen.views[0], SealedView) and has_decoys(seen.agreed)):
        return
    users, (uploads, *_) = uploaded_rows(seen)
    for count in FRESH_ROUNDS:
        rounds = [_redrawn(seen.agreed, users, uploads, truth, seed) for seed in range(count)]
        guesses = [Guess(*pair) for pair in zip(users, membership.intersection(rounds), strict=True)]
        attack = f"WEAKENED: fresh decoys, {count} rounds"
        yield Attempt("server", attack, seen.views[0].round, count, guesses)


def _redrawn(
    agreed: Agreed, users: Sequence[int], uploads: Sequence[Integers], truth: Truth, seed: int
) -> list[Integers]:
    random, weaker = np.random.default_rng(seed), []
    for user, rows in zip(users, uploads, strict=True):
        rated = np.array(sorted(truth.of[user]), np.int64)
        others = np.setdiff1d(np.arange(agreed.setting.items), rated)
        weaker.append(np.concatenate([rated, random.choice(others, len(rows) - len(rated), replace=False)]))
    return weaker
