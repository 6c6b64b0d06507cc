"""The adversaries at work on what they saw: each is one function, registered by one decorator.

An adversary gets what it has in hand and what everybody has agreed on (:class:`Seen`), and yields what it
makes of it (:class:`Attempt`). It never sees the truth: :mod:`fedmf_ray.study.scoring` keeps the score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.privacy import closed_forms, gradients, membership, participant, ridge
from fedmf_ray.privacy.coalition import called
from fedmf_ray.privacy.views import Agreed, ClearView, SealedView, UserView, View, consecutive
from fedmf_ray.schemes import Reads

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Guess(NamedTuple):
    """Rows of the item matrix that one user is said to have rated, and the ratings where the attack names
    them.

    user_id: who; None where the adversary knows that it is one person, but not which. but: in that case, one
    those whom it is not. rows: (k,). ratings: (k,) or None.
    """

    user_id: int | None
    rows: Integers
    ratings: Floats | None = None
    but: Collection[int] = ()


@dataclass(frozen=True)
class Attempt:
    """What one attack made of a view. round: the first one that it read. rounds: how many it needs.

    guesses: None where there was nothing to guess from, or no attack is known. readable: the adversary reads
    every number that users upload, so that without an attack they count as given away. sealed: it reads none,
    so that nothing counts as recovered.
    """

    adversary: str
    attack: str
    round: int
    rounds: int
    guesses: Sequence[Guess] | None
    readable: bool = False
    sealed: bool = False


@dataclass(frozen=True)
class Seen:
    """What an adversary works with. views: of one kind, by round. scale: the possible ratings, evenly spaced
    and increasing. insiders: each user in turn with its own ratings, for adversaries who are one of them."""

    agreed: Agreed
    views: Sequence[View]
    scale: Floats
    insiders: Callable[[], Iterator[tuple[int, Integers, Floats]]]


Adversary = Callable[[Seen], Iterator[Attempt]]

ADVERSARIES: list[tuple[type, Adversary]] = []
"""Kinds of view and who attacks them, in order."""


def adversary(view: type) -> Callable[[Adversary], Adversary]:
    """Register an adversary for a kind of view."""

    def register(function: Adversary) -> Adversary:
        ADVERSARIES.append((view, function))
        return function

    return register


def attempts(seen: Seen) -> Iterator[Attempt]:
    """What all adversaries who apply make of a view."""
    for view, function in ADVERSARIES:
        if isinstance(seen.views[0], view):
            yield from function(seen)


def after_the_census(agreed: Agreed, views: list[View]) -> list[View]:
    """Rounds in which something is learned."""
    learning = [view for view in views if view.round > 0] if agreed.census else views
    if not learning:
        raise FedMFError("the view holds the census alone, and nothing is learned in it (observe.rounds)")
    return learning


def _readable_rule(agreed: Agreed) -> bool:
    """Whether an attack here knows how to read the rule's steps."""
    return agreed.rule == Ridge.name or (agreed.rule in gradients.READ and not agreed.setting.biases)


def _unread(name: str, seen: Seen, readable: bool) -> Attempt:
    biases = " with biases" if seen.agreed.setting.biases else ""
    attack = f"none known on rule {seen.agreed.rule}{biases}"
    if not readable and seen.agreed.rule_object.adds_pairs:
        attack = (
            "none is run; sums of pairs that two users add to tell each the other's (docs/threat-model.md)"
        )
    return Attempt(name, attack, seen.views[0].round, 1, None, readable)


@adversary(ClearView)
def server_that_reads(seen: Seen) -> Iterator[Attempt]:
    """Uploads in the clear, or decrypted by a colluding user."""
    agreed = seen.agreed
    name = "server" if agreed.server_reads == Reads.EVERYTHING else called("server", agreed)
    views = after_the_census(agreed, list(seen.views))
    if not _readable_rule(agreed):
        yield _unread(name, seen, readable=True)
        return
    solved = agreed.rule == Ridge.name
    telling = None if solved else agreed.setting.predictors
    attacks = {"flat loss": _flat_loss} if solved else {"grid": _grid, "closed form": _closed_form}
    pairs: list[tuple[View, View | None]] = list(consecutive(views))
    for view, after in pairs or [(views[0], None)]:
        assert isinstance(view, ClearView)
        later = {u.user_id: u.values for u in after.uploads} if isinstance(after, ClearView) else {}
        for attack, recover in attacks.items():
            guesses = []
            for upload in view.uploads:
                # Zeros fill up a full text, and stand for items with too few raters.
                rated = upload.values[:, :telling].any(axis=1)
                rows = upload.rows[rated]
                if len(rows):
                    following = None
                    if isinstance(after, ClearView) and upload.user_id in later:
                        following = (later[upload.user_id][rated], after.items[rows])
                    ratings = recover(agreed, upload.values[rated], view, rows, seen.scale, following)
                    guesses.append(Guess(upload.user_id, rows, ratings))
            alone = after is None or solved or (attack == "closed form" and agreed.rule == "sequential")
            yield Attempt(name, attack, view.round, 1 if alone else 2, guesses, readable=True)


Following = tuple[Floats, Floats] | None


def _grid(
    agreed: Agreed, values: Floats, view: ClearView, rows: Integers, scale: Floats, following: Following
) -> Floats:
    d = agreed.setting.factors  # the other columns are counts
    seen = gradients.strip(values[:, :d], view.items[rows][:, :d], agreed.rule, agreed.steps)
    if following is not None:
        following = following[0][:, :d], following[1][:, :d]
    return gradients.recover(seen, agreed.rule, agreed.steps, scale, following)[0]


def _flat_loss(
    agreed: Agreed, values: Floats, view: ClearView, rows: Integers, scale: Floats, following: Following
) -> Floats:
    first = not view.items[:, -1].any()  # nobody has counted itself yet
    return ridge.recover(values, view.items[rows], agreed.setting, scale, first)


def _closed_form(
    agreed: Agreed, values: Floats, view: ClearView, rows: Integers, scale: Floats, following: Following
) -> Floats:
    d = agreed.setting.factors
    seen = gradients.strip(values[:, :d], view.items[rows][:, :d], agreed.rule, agreed.steps)
    if agreed.rule == "sequential":
        return closed_forms.consecutive(seen, agreed.steps)
    if following is None:
        return np.full(len(values), np.nan)
    later = gradients.strip(following[0][:, :d], following[1][:, :d], agreed.rule, agreed.steps)
    return closed_forms.two_rounds(seen, later, agreed.steps)


@adversary(SealedView)
def server_that_cannot(seen: Seen) -> Iterator[Attempt]:
    """Ciphertexts: no rating, but numbers of blocks, any row of which may be a rated one."""
    agreed, first = seen.agreed, seen.views[0].round
    yield Attempt(called("server", agreed), "ciphertexts", first, 1, None, sealed=True)
    users, rounds = uploaded_rows(seen)
    yield _rated("uploaded rows", rounds[:1], users, first)
    if len(rounds) > 1:
        yield _rated(f"intersection of {len(rounds)} rounds", rounds, users, first)
    if has_decoys(agreed):
        likely = membership.suspected(rounds[0], agreed.setting.items, agreed.least_rows)
        guess = [rows[p > 0.5] for rows, p in zip(rounds[0], likely, strict=True)]
        yield _rated("uploaded rows, by popularity", [guess], users, first)


@adversary(SealedView)
def server_that_reads_sums(seen: Seen) -> Iterator[Attempt]:
    """A server whose scheme lets it read V, or whom a user shows it, does what a curious user does."""
    views = [UserView(view.round, view.items) for view in seen.views if view.items is not None]
    if views:
        yield from _changes(
            called("server", seen.agreed), Seen(seen.agreed, views, seen.scale, seen.insiders)
        )


def uploaded_rows(seen: Seen) -> tuple[list[int], list[list[Integers]]]:
    """Who uploaded in any round, and by round what rows each uploaded. Where one did not, the rows of its
    first upload stand in: they tell nothing new."""
    uploads = [
        {u.user_id: _rows_of(u.rows, seen.agreed) for u in view.uploads}
        for view in seen.views
        if isinstance(view, SealedView)
    ]
    first: dict[int, Integers] = {}
    for one in uploads:
        first = one | first
    users = [*uploads[0], *(user for user in first if user not in uploads[0])]
    return users, [[one.get(user, first[user]) for user in users] for one in uploads]


def has_decoys(agreed: Agreed) -> bool:
    """Whether users hide rated rows among others that are told apart from them."""
    return 0 < agreed.least_rows < agreed.setting.items and agreed.rows_per_block == 1


def _rows_of(blocks: Integers, agreed: Agreed) -> Integers:
    rows = (blocks[:, None] * agreed.rows_per_block + np.arange(agreed.rows_per_block)).ravel()
    return rows[rows < agreed.setting.items]


def _rated(attack: str, rounds: Sequence[Sequence[Integers]], users: Sequence[int], first: int) -> Attempt:
    """Take every row that a user uploads in all rounds for rated."""
    rows = membership.intersection(rounds)
    guesses = [Guess(user, mine) for user, mine in zip(users, rows, strict=True)]
    return Attempt("server", attack, first, len(rounds), guesses)


@adversary(UserView)
def curious_user(seen: Seen) -> Iterator[Attempt]:
    """One user, who sees V every round and subtracts."""
    yield from _changes(called("curious user", seen.agreed), seen)


def _changes(name: str, seen: Seen) -> Iterator[Attempt]:
    agreed, setting = seen.agreed, seen.agreed.setting
    views = after_the_census(agreed, list(seen.views))
    if not _readable_rule(agreed):
        yield _unread(name, seen, readable=False)
        return
    pairs = list(consecutive(views))
    if not pairs:
        raise FedMFError(
            "the view holds no two consecutive rounds, which a curious user needs (observe.rounds)"
        )
    for before, after in pairs:
        assert isinstance(before, UserView)
        assert isinstance(after, UserView)
        groups: Sequence[participant.Found]
        if agreed.rule == Ridge.name:
            groups = ridge.recover_from_changes(before.items, after.items, setting, seen.scale)
        else:
            d = setting.factors
            changes = before.items[:, :d], after.items[:, :d]
            groups = participant.recover_from_changes(*changes, agreed.rule, agreed.steps, seen.scale)
        guesses = [Guess(None, found.rows, found.ratings) for found in groups]
        yield Attempt(name, "changes of V", before.round, 2, guesses)
        if agreed.rule == Ridge.name:
            linked = [Guess(None, rows) for rows in ridge.linked_by_curvature(after.items, setting)]
            yield Attempt(name, "equal L of lone raters", before.round, 1, linked)
            first_to_learn = not before.items[:, setting.predictors].any()
            if setting.biases and first_to_learn and agreed.helpers:
                yield _together(name, seen, before, after)
            elif setting.biases and first_to_learn and name == "curious user":
                yield _insiders(seen, before, after)


def _insiders(seen: Seen, before: UserView, after: UserView) -> Attempt:
    """Every user in turn is curious, and takes away its own steps: what all of them together have named."""
    guesses, setting = [], seen.agreed.setting
    for insider, rows, values in seen.insiders():
        own = RatingBlock.of([(rows, values - setting.steps.mean)])
        found = ridge.recover_beside([own], before.items, after.items, setting, seen.scale)
        guesses += [Guess(None, group.rows, group.ratings, but=(insider,)) for group in found]
    return Attempt("curious user", "pairs of raters, less its own", before.round, 2, guesses)


def _together(name: str, seen: Seen, before: UserView, after: UserView) -> Attempt:
    """Those who help take away the steps of all of them, and what is left of a row is the only other
    rater's."""
    setting, helpers = seen.agreed.setting, set(seen.agreed.helpers)
    owns = [
        RatingBlock.of([(rows, values - setting.steps.mean)])
        for user, rows, values in seen.insiders()
        if user in helpers
    ]
    found = ridge.recover_beside(owns, before.items, after.items, setting, seen.scale)
    guesses = [Guess(None, group.rows, group.ratings, but=helpers) for group in found]
    return Attempt(name, "changes of V, less their own", before.round, 2, guesses)
