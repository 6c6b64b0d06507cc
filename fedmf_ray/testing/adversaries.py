"""What every adversary must do.

class TestEavesdropper(AdversaryTests):
    adversary = staticmethod(eavesdropper)
    view = SealedView
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NoReturn
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import RULES
from fedmf_ray.learning.rules.gradient import Batch
from fedmf_ray.privacy import views
from fedmf_ray.privacy.adversaries import Adversary, Attempt, Seen
from fedmf_ray.privacy.views import Agreed, ClearUpload, ClearView, SealedUpload, SealedView, UserView, View
from fedmf_ray.protocol.round import Local
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.schemes import Reads
from fedmf_ray.testing.federations import FEW, LEAST_ITEMS, federation, setting_of

SCALE = np.arange(1, 11) / 2
ROUNDS = 3


class Unknown(Batch):
    """A rule that no attack can know."""

    name = "of somebody else"


@dataclasses.dataclass(frozen=True)
class Situation:
    """What an adversary may find. absent: users, by position, who upload in the first round only."""

    rule: str = Unknown.name
    biases: bool = False
    min_raters: int = 1
    sparsity: float = 1.0
    absent: tuple[int, ...] = ()


SITUATIONS = [
    *(Situation(rule, biases) for rule in (*RULES.names(), Unknown.name) for biases in (False, True)),
    *(Situation(rule, min_raters=2) for rule in (*RULES.names(), Unknown.name)),
    Situation(sparsity=0.5),
    Situation(RULES.names()[0], sparsity=0.0),
    Situation(RULES.names()[0], sparsity=0.4, absent=(2, 5)),
    Situation(RULES.names()[-1], True, absent=(2, 5)),
]
situations = pytest.mark.parametrize("situation", SITUATIONS, ids=str)


class AdversaryTests:
    """For any adversary. adversary: in a class, a ``staticmethod``. view: the kind that it is registered
    for."""

    adversary: Adversary
    view: type

    @pytest.fixture(autouse=True)
    def _there_is_a_rule_of_somebody_else(self) -> Iterator[None]:
        with mock.patch.dict(RULES._known, {Unknown.name: Unknown}):
            yield

    def test_it_is_given_what_it_saw_and_nothing_else(self) -> None:
        assert len(inspect.signature(type(self).adversary).parameters) == 1
        names = vars(inspect.getmodule(type(self).adversary)).values()
        homes = {str(getattr(one, "__module__", "")) for one in names}
        assert not [home for home in homes if home.startswith("fedmf_ray.study")], "the truth is kept there"

    @situations
    def test_what_it_makes_of_a_view_can_be_scored(self, situation: Situation) -> None:
        seen = _seen(self.view, situation)
        for attempt in self._attempts(seen):
            _check(attempt, seen)

    @situations
    def test_it_says_the_same_of_a_view_that_was_recorded(self, situation: Situation, tmp_path: Path) -> None:
        seen = _seen(self.view, situation)
        for view in seen.views:
            views.save(view, seen.agreed, tmp_path)
        agreed, recorded = views.load(tmp_path)
        again = dataclasses.replace(seen, agreed=agreed, views=recorded)
        assert _told(self._attempts(seen)) == _told(self._attempts(again))

    @situations
    @pytest.mark.parametrize("what", ["noise", "zeros", "nobody"])
    def test_it_works_when_nothing_can_be_read(self, situation: Situation, what: str) -> None:
        seen = _seen(self.view, situation)
        blank = dataclasses.replace(seen, views=[_blank(view, what) for view in seen.views])
        for attempt in self._attempts(blank):
            _check(attempt, blank)

    @situations
    def test_one_round_is_enough_or_it_says_why_not(self, situation: Situation) -> None:
        seen = _seen(self.view, situation)
        for view in seen.views:
            alone = dataclasses.replace(seen, views=[view])
            found: list[Attempt] = []
            with contextlib.suppress(FedMFError):  # one line of ours, nothing else
                found = self._attempts(alone)
            for attempt in found:
                _check(attempt, alone)

    def _attempts(self, seen: Seen) -> list[Attempt]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # as in an audit: NaN is no rating, and loses
            return list(type(self).adversary(seen))


@cache
def _seen(kind: type, situation: Situation) -> Seen:
    """What there is to see of the first rounds of a few users. Made once; nobody can write to it."""
    setting = setting_of(4, situation.biases, situation.min_raters)
    local = federation(RULES.get(situation.rule)(), setting, FEW, situation.sparsity)
    reads = Reads.EVERYTHING if kind is ClearView else Reads.SUMS
    least = uploaded_count(0, LEAST_ITEMS, situation.sparsity)
    agreed = Agreed("contract", reads, situation.rule, {}, setting, least, 1)
    seen: list[View] = []
    for number in range(ROUNDS):
        absent = situation.absent if number else ()
        seen.append(_view(kind, local, absent))
        local.round(absent)
    ratings = local.users.train

    def insiders() -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        for at, user in enumerate(local.users.user_ids.tolist()):
            mine = ratings.part(at, at + 1)
            yield user, mine.items, mine.values + setting.steps.mean

    return Seen(agreed, seen, SCALE, insiders if kind is UserView else _nobody)


def _nobody() -> NoReturn:
    raise AssertionError("a server is none of the users: it has no ratings of its own")


def _view(kind: type, local: Local, absent: tuple[int, ...]) -> View:
    """What there is to see of the round that is open; nothing is shared but the item table."""
    items, table = local.tables[0].copy(), local.terms.items
    items.flags.writeable = False
    if kind is UserView:
        return UserView(local.number, items)
    uploads = [upload for pieces in local.train(absent) for upload in pieces]
    if kind is ClearView:
        clear = [
            ClearUpload(one.user_id, one.blocks, table.to_floats(local.key.decrypt(one.ciphertexts)))
            for one in uploads
        ]
        for one in clear:
            one.values.flags.writeable = False
        return ClearView(local.number, items, clear)
    random = np.random.default_rng(local.number)
    sealed = [
        SealedUpload(one.user_id, one.blocks, random.integers(0, 256, (len(one.blocks), 1, 64), np.uint8))
        for one in uploads
    ]
    return SealedView(local.number, sealed, items)


def _blank(view: View, what: str) -> View:
    """The view of a round in which nobody did anything that means anything, or nobody did anything."""
    random = np.random.default_rng(view.round)

    def drawn(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return random.normal(size=values.shape) if what == "noise" else np.zeros(values.shape)

    if isinstance(view, UserView):
        return UserView(view.round, drawn(view.items))
    if isinstance(view, ClearView):
        uploads = [one._replace(values=drawn(one.values)) for one in view.uploads]
        return ClearView(view.round, drawn(view.items), [] if what == "nobody" else uploads)
    sums = None if view.items is None else drawn(view.items)
    return SealedView(view.round, [] if what == "nobody" else view.uploads, sums)


def _check(attempt: Attempt, seen: Seen) -> None:
    """That it can be scored."""
    for text in (attempt.adversary, attempt.attack):
        assert text
        assert "\n" not in text
    assert attempt.round in [view.round for view in seen.views]
    assert 1 <= attempt.rounds <= len(seen.views)
    there = {upload.user_id for view in seen.views for upload in getattr(view, "uploads", ())}
    inside = {user for user, _, _ in seen.insiders()} if isinstance(seen.views[0], UserView) else set()
    for guess in attempt.guesses or ():
        assert guess.user_id is None or guess.user_id in there
        assert not guess.but or (guess.user_id is None and set(guess.but) <= inside)
        rows = guess.rows
        assert rows.ndim == 1
        assert np.issubdtype(rows.dtype, np.integer)
        assert len(np.unique(rows)) == len(rows), "it names a row twice"
        assert ((rows >= 0) & (rows < seen.agreed.setting.items)).all()
        assert guess.ratings is None or guess.ratings.shape == rows.shape


def _told(attempts: list[Attempt]) -> list[tuple[Attempt, list[str]]]:
    """All that attempts say, as something that can be compared."""
    told = []
    for attempt in attempts:
        guesses = [[part.tolist() if isinstance(part, np.ndarray) else part for part in guess]
                   for guess in attempt.guesses or ()]  # fmt: skip
        told.append((dataclasses.replace(attempt, guesses=None), [*map(repr, guesses)]))
    return told
