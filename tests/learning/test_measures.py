"""Every measure that is registered here does what measures must do."""

import math

import numpy as np
import pytest

from fedmf_ray.learning.ranking import ALWAYS, MEASURES, precision
from fedmf_ray.testing.metrics import MeasureTests


class TestEveryMeasure(MeasureTests):
    bounds = (0.0, 1.0)

    @pytest.fixture(autouse=True, params=MEASURES.names())
    def each(self, request, monkeypatch):
        monkeypatch.setattr(type(self), "measure", staticmethod(MEASURES.get(request.param)), raising=False)


def rarity(listed):
    """Mean self-information of what is in the list, in bits, if raters are counted; it has no upper bound."""
    if listed.raters is None:
        return 0.0
    return float(np.mean(-np.log2((listed.raters[listed.rows] + 1) / (listed.raters.sum() + 1))))


class TestMeasureOfSomethingElse(MeasureTests):
    measure = staticmethod(rarity)
    bounds = (0.0, math.inf)


def test_those_of_every_run_are_registered():
    assert list(ALWAYS) == MEASURES.names()[: len(ALWAYS)]
    assert all(MEASURES.get(name) is measure for name, measure in ALWAYS.items())


calls = []

WRONG = {
    "test_it_is_a_number_within_its_bounds": [
        lambda listed: float("nan"),
        lambda listed: float(listed.found.sum()),
        lambda listed: None,
    ],
    "test_it_says_the_same_again_and_changes_nothing": [
        lambda listed: calls.append(0) or float(len(calls)),
        lambda listed: listed.rows.sort() or precision(listed),
    ],
    "test_a_list_may_be_shorter_than_was_asked_for": [lambda listed: 1.0 * listed.found[listed.k - 1]],
    "test_more_may_be_relevant_than_a_list_holds": [lambda listed: listed.relevant / listed.k],
    "test_a_user_counts_the_same_in_any_company": [lambda listed: calls.append(0) or 1 / len(calls)],
}
ARGUMENTS = {
    "test_it_is_a_number_within_its_bounds": (False,),
    "test_a_list_may_be_shorter_than_was_asked_for": (2, True),
}


@pytest.mark.parametrize(
    ("contract", "wrong"), [(contract, measure) for contract in WRONG for measure in WRONG[contract]]
)
def test_the_contract_finds_what_is_wrong(contract, wrong):
    class Tests(MeasureTests):
        measure = staticmethod(wrong)
        bounds = (0.0, 1.0)

    with pytest.raises((AssertionError, IndexError, ValueError)):
        getattr(Tests(), contract)(*ARGUMENTS.get(contract, ()))
