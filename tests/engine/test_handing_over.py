"""What combiners hand over is asked for before training has ended: it is whole, or lost."""

import itertools

import numpy as np
import pytest

from fedmf_ray.engine.answers import Hosting
from fedmf_ray.engine.backends import make
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.planning.participation import IN_TIME
from fedmf_ray.planning.plan import Plan
from fedmf_ray.storage.key_files import create_keys
from tests.support.mortal import MortalBackend, survive
from tests.support.small_runs import small

CHOSEN = {"ratings__users": 6, "ratings__items": 8, "protocol__scheme": "plain", "stop__rounds": 3}


def combiner(monkeypatch):
    """An actor with six users in three calls, in an open round, and the messages of it."""
    monkeypatch.setattr("fedmf_ray.engine.user_actor.COMBINED_RATINGS", 1)
    chosen = small(**CHOSEN, cluster__users_per_actor=6)
    plan = Plan.of(chosen)
    evaluator, key, _ = create_keys(plan.scheme, plan.terms.blocks.shape)
    actor = UserActor(plan.terms, Hosting(together=True, combine=True))
    joined = actor.set_up(plan.population.members(0, 6), sides=(evaluator, key))
    *messages, _ = actor.encrypt_initial_items()
    actor.open_round(0, *messages)
    return actor, joined.calls[plan.terms.blocks.count], messages


def test_sums_that_lack_a_call_of_training_are_lost_and_stay_open_for_it(monkeypatch):
    actor, cuts, messages = combiner(monkeypatch)
    calls = len(cuts) - 1
    assert calls > 1
    fates = [np.full(stop - first, IN_TIME, np.int8) for first, stop in itertools.pairwise(cuts)]
    for call in range(calls - 1):
        actor.train(call, fates[call], False, *messages)
    with pytest.raises(Lost, match=f"{calls - 1} of {calls} calls"):
        actor.partial_sums(calls)
    actor.train(calls - 1, fates[-1], False, *messages)
    partial, count, cpu_s = actor.partial_sums(calls)
    assert count == 6
    assert cpu_s > 0
    assert partial.user_ids.tolist() == actor._users.user_ids.tolist()
    assert np.array_equal(actor.partial_sums(calls)[0].sums, partial.sums)


def test_a_call_that_is_made_again_adds_nothing_and_says_the_same(monkeypatch):
    actor, cuts, messages = combiner(monkeypatch)
    fates = np.full(cuts[1] - cuts[0], IN_TIME, np.int8)
    *_, first = actor.train(0, fates, False, *messages)
    *_, again = actor.train(0, fates, False, *messages)
    assert again == first
    assert first.added == len(fates)
    assert not first.refused
    assert actor.partial_sums(1)[1] == len(fates)


def test_what_servers_have_published_is_kept_when_an_answer_of_training_is_lost(monkeypatch, tmp_path):
    """All is done and published when the driver hears that a machine died, with the answers of its actor."""
    chosen = small(**CHOSEN, cluster__users_per_actor=3, cluster__server_shards=2)
    expected, stream = survive(chosen, {}, tmp_path / "unharmed"), MortalBackend.stream
    rounds = []

    def late(self, calls, limit):
        made = [
            (call, make(self, call)) for call in calls
        ]  # what follows is asked for before answers are read
        if made and made[0][0].method == "train":
            rounds.append(made)
            if len(rounds) == 2:
                call, references = made[0]
                call.actor.alive = False
                for reference in references:
                    reference.lose()
        yield from made

    monkeypatch.setattr(MortalBackend, "stream", late)
    items, losses, events, backend = survive(chosen, {}, tmp_path / "one")
    assert MortalBackend.stream is not stream
    assert np.array_equal(items, expected[0])
    assert losses == expected[1]
    assert [event for event, _ in events] == ["user_actor_died"]
    assert backend._counts["publish"] == expected[3]._counts["publish"]


def gone(*_):
    raise Lost("a value is gone")


def lose(monkeypatch, method, number):
    """This call of a method, counted from 1, fails, and nobody dies. The calls that are made, by method."""
    made, do = [], MortalBackend._do

    def or_fail(self, actor, called, function, args, returns):
        made.append(called)
        failing = called == method and made.count(method) == number
        return do(self, actor, called, gone if failing else function, args, returns)

    monkeypatch.setattr(MortalBackend, "_do", or_fail)
    return made


def test_a_call_of_training_that_is_lost_alone_is_made_again(monkeypatch, tmp_path):
    """Its actor lives and is asked for its sum all the same."""
    monkeypatch.setattr("fedmf_ray.engine.user_actor.COMBINED_RATINGS", 1)
    chosen = small(**CHOSEN, cluster__users_per_actor=3, cluster__server_shards=2)
    expected = survive(chosen, {}, tmp_path / "unharmed")
    made = lose(monkeypatch, "train", 8)
    items, losses, events, _ = survive(chosen, {}, tmp_path / "one")
    assert made.count("train") == expected[3]._counts["train"] + 1
    assert np.array_equal(items, expected[0])
    assert losses == expected[1]
    assert "went_back" not in [event for event, _ in events]


@pytest.mark.parametrize(
    "scheme", [{}, {"scheme": "masked"}, {"scheme": "committee", "committee": {"members": 3, "colluding": 1}}]
)
@pytest.mark.parametrize("number", [1, 2, 6, 7])
def test_a_sum_that_one_of_two_servers_does_not_get_is_handed_over_again(
    monkeypatch, tmp_path, scheme, number
):
    """The other one has closed the round by then."""
    protocol = {f"protocol__{key}": value for key, value in scheme.items()}
    chosen = small(**CHOSEN | protocol, cluster__users_per_actor=3, cluster__server_shards=2)
    expected = survive(chosen, {}, tmp_path / "unharmed")
    made = lose(monkeypatch, "merge", number)
    items, losses, events, _ = survive(chosen, {}, tmp_path / "one")
    assert made.count("merge") > expected[3]._counts["merge"]
    assert np.array_equal(items, expected[0])
    assert losses == expected[1]
    assert "went_back" not in [event for event, _ in events]
