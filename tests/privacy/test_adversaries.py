"""Every adversary that is registered does what adversaries must do."""

import numpy as np
import pytest

from fedmf_ray.learning.rules import RULES
from fedmf_ray.privacy.adversaries import ADVERSARIES, Attempt, Guess
from fedmf_ray.privacy.views import ClearView, SealedView, UserView
from fedmf_ray.testing.adversaries import AdversaryTests, Situation


class TestEveryAdversary(AdversaryTests):
    @pytest.fixture(autouse=True, params=ADVERSARIES, ids=lambda pair: pair[1].__name__)
    def each(self, request, monkeypatch):
        view, adversary = request.param
        monkeypatch.setattr(type(self), "view", view, raising=False)
        monkeypatch.setattr(type(self), "adversary", staticmethod(adversary), raising=False)


def test_every_kind_of_view_has_an_adversary():
    assert {view for view, _ in ADVERSARIES} == {ClearView, SealedView, UserView}


def somebody(seen):
    """Guesses that the first who uploads rated everything."""
    for view in seen.views:
        for upload in view.uploads[:1]:
            yield Attempt("somebody", "everything", view.round, 1, [guess(upload.user_id)])


def guess(user_id, rows=(0, 1)):
    return Guess(user_id, np.array(rows))


class TestAdversaryOfSomebodyElse(AdversaryTests):
    adversary = staticmethod(somebody)
    view = SealedView


def forgets_itself(seen):
    yield Attempt("x", "y", 0, 1, [Guess(None, np.random.default_rng().permutation(9)[:3])])


def asks_a_user(seen):
    for user, rows, ratings in seen.insiders():
        yield Attempt("x", "y", 0, 1, [Guess(user, rows, ratings)])


WRONG = [
    ("test_what_it_makes_of_a_view_can_be_scored", asks_a_user, ()),
    ("test_it_says_the_same_of_a_view_that_was_recorded", forgets_itself, ("folder",)),
    ("test_it_works_when_nothing_can_be_read", lambda seen: iter([seen.views[0].uploads[0]]), ("nobody",)),
    *(
        ("test_what_it_makes_of_a_view_can_be_scored", lambda seen, wrong=wrong: iter([wrong]), ())
        for wrong in (
            Attempt("x", "y", 0, 1, [guess(77)]),
            Attempt("x", "y", 0, 1, [guess(2, (3, 12))]),
            Attempt("x", "y", 0, 1, [guess(2, (3, 3))]),
            Attempt("x", "y", 9, 1, None),
            Attempt("x", "y", 0, 4, None),
            Attempt("x", "y", 0, 1, [Guess(2, np.array([1, 2]), np.array([3.5]))]),
        )
    ),
]


@pytest.mark.parametrize(("contract", "wrong", "more"), WRONG)
def test_the_contract_finds_what_is_wrong(tmp_path, contract, wrong, more):
    class Tests(AdversaryTests):
        adversary = staticmethod(wrong)
        view = ClearView

    words = [tmp_path if word == "folder" else word for word in more]
    with pytest.raises((AssertionError, IndexError)):
        getattr(Tests(), contract)(Situation(RULES.names()[0]), *words)


def test_an_adversary_that_takes_more_than_what_it_saw_is_found():
    class Tests(AdversaryTests):
        adversary = staticmethod(lambda seen, truth: iter(()))

    with pytest.raises(AssertionError):
        Tests().test_it_is_given_what_it_saw_and_nothing_else()
