"""Every call of a run in turn is the one in which a process dies: results never change.

Deaths are played in this process (:mod:`tests.support.mortal`); ``test_faults.py`` kills real ones.
"""

import json
import random

import numpy as np
import pytest

from fedmf_ray.engine import persistence
from fedmf_ray.engine import run as runs
from fedmf_ray.engine.progress import Silent
from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import SCHEMES
from tests.support.mortal import AFTER, BEFORE, CTRL_C, KILLED, MACHINE, Killed, MortalBackend, survive
from tests.support.opening import Asking
from tests.support.small_runs import losses_of, small

WAYS = (BEFORE, AFTER, MACHINE)

SMALL = {
    "ratings__users": 3,
    "ratings__items": 8,
    "stop__rounds": 3,
    "protocol__scheme": "plain",
    "cluster__users_per_actor": 2,
    "cluster__server_shards": 2,
    "cluster__checkpoint_every": 2,
}
"""Two user actors, two servers, and a round between checkpoints."""

RIDGE = {
    "model__rule": "ridge",
    "model__biases": True,
    "model__reg_user": 3.0,
    "model__reg_item": 1.0,
    "protocol__update_bound": 2.0,
    "protocol__min_raters": 2,
}

CASES = {
    "combined": {},
    "single": {"cluster__users_per_actor": 1},
    "opened": {"protocol__scheme": "asking"},
    "masked": {"protocol__scheme": "masked"},
    "masked, single": {"protocol__scheme": "masked", "cluster__users_per_actor": 1},
    "committee": {"protocol__scheme": "committee", "protocol__committee": {"members": 3, "colluding": 1}},
    "committee, single": {
        "protocol__scheme": "committee",
        "protocol__committee": {"members": 3, "colluding": 1},
        "cluster__users_per_actor": 1,
    },
    "masked, some late": RIDGE
    | {
        "protocol__scheme": "masked",
        "participation": {"share": 0.9, "dropout": 0.2, "late": 0.3, "minimum": 0.0},
    },
    "ridge, some late": RIDGE
    | {"participation": {"share": 0.9, "dropout": 0.2, "late": 0.3, "minimum": 0.0}},
    "packed": {"protocol__scheme": "packed"},
    "combined, one node": {},
    "masked, one node": {"protocol__scheme": "masked"},
    "packed, one node": {"protocol__scheme": "packed"},
    "committee, one node": {
        "protocol__scheme": "committee",
        "protocol__committee": {"members": 3, "colluding": 1},
    },
    "packed, what was rated": {"protocol__scheme": "packed", "protocol__reading": "rated"},
}


@pytest.fixture(autouse=True)
def asking():
    """A scheme whose sums a user must open; registered for a test."""
    SCHEMES._known["asking"] = Asking
    yield
    del SCHEMES._known["asking"]


@pytest.fixture(autouse=True)
def _one_node(request, monkeypatch):
    """Cases that say so: the actors of a node hand over one sum."""
    case = request.node.callspec.params.get("case", "") if hasattr(request.node, "callspec") else ""
    monkeypatch.setattr(MortalBackend, "one_node", "one node" in case)


@pytest.fixture(autouse=True)
def _same_revision(monkeypatch):
    """Otherwise hundreds of runs ask git for it."""
    monkeypatch.setenv("FEDMF_REVISION", "a test")


@pytest.fixture
def unharmed(tmp_path):
    """A scenario, and what comes out when nobody dies."""

    def of(case):
        chosen = small(**SMALL | CASES[case])
        return chosen, survive(chosen, {}, tmp_path / "unharmed")

    return of


def check(result, expected):
    assert np.array_equal(result[0], expected[0])
    assert result[1] == expected[1]


@pytest.mark.parametrize(
    "case",
    ["combined", "combined, one node", "single", "opened", "masked", "committee", "ridge, some late"],
)
def test_in_any_call_a_process_may_die(unharmed, tmp_path, case):
    """Each call once, in ways that take turns."""
    chosen, expected = unharmed(case)
    seen = set()
    for call in range(len(expected[3].made)):
        result = survive(chosen, {call: WAYS[call % 3]}, tmp_path / f"{case}-{call}")
        assert result[3].killed
        check(result, expected)
        seen |= {event for event, _ in result[2]}
    assert {"set_up_failed", "user_actor_died", "server_died", "went_back"} <= seen


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_in_any_call_and_any_way_a_process_may_die(unharmed, tmp_path, case):
    chosen, expected = unharmed(case)
    for call in range(len(expected[3].made)):
        for way in WAYS:
            check(survive(chosen, {call: way}, tmp_path / f"{case}-{call}-{way}"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_several_processes_may_die(unharmed, tmp_path, case):
    """Also while others are being replaced, and while everybody starts again."""
    chosen, expected = unharmed(case)
    chance = random.Random(case)
    for turn in range(100):
        calls = chance.sample(range(len(expected[3].made) + 40), chance.randint(2, 6))
        deaths = {call: chance.choice(WAYS) for call in calls}
        check(survive(chosen, deaths, tmp_path / f"{case}-{turn}"), expected)


METHODS = [
    "create_keys", "start UserActor", "set_up", "encrypt_initial_items", "start ServerActor", "train",
    "partial_sums", "merge", "receive", "close", "open_sums", "publish", "read_share", "open_round", "save",
    "measure",
]  # fmt: skip
CASE_OF = {"receive": "single", "open_sums": "opened", "read_share": "packed"}


def measure(*_):
    """Unit costs that take no time to measure."""


class TestPatience:
    """A process that dies whenever it is asked the same: one line after a while, never a traceback."""

    @pytest.mark.parametrize("way", [BEFORE, AFTER])
    @pytest.mark.parametrize("method", METHODS)
    def test_runs_out(self, tmp_path, monkeypatch, method, way):
        monkeypatch.setattr(persistence, "ATTEMPTS", 2)
        monkeypatch.setattr("fedmf_ray.engine.pricing._unit_costs", {})
        monkeypatch.setattr("fedmf_ray.engine.pricing.measure", measure)
        changes = SMALL | CASES[CASE_OF.get(method, "combined")]
        if method == "measure":
            changes = changes | {"protocol__charge": "packed"}
        backend = MortalBackend(lambda made, _: way if made == method else None)
        monkeypatch.setattr(runs, "open_backend", lambda _: backend)
        with pytest.raises(FedMFError, match=r"processes keep dying|workers keep dying") as caught:
            runs.run(small(**changes), tmp_path, Silent())
        assert "\n" not in str(caught.value)
        assert any(key in str(caught.value) for key in ("cluster.users_per_actor", "memory"))
        assert len(backend.killed) > 2

    def test_in_a_later_round_leaves_the_rows_before_and_says_what_failed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(persistence, "ATTEMPTS", 2)
        backend = MortalBackend(lambda made, count: AFTER if made == "train" and count >= 4 else None)
        monkeypatch.setattr(runs, "open_backend", lambda _: backend)
        lists = {"metrics": {"top_k": 2}}  # there is nobody left to ask
        with pytest.raises(FedMFError, match="^round 2: processes keep dying .*fedmf-ray resume.*died"):
            runs.run(small(**SMALL | lists), tmp_path, Silent())
        (folder,) = (tmp_path / "small").iterdir()
        summary = json.loads((folder / "summary.json").read_text())
        assert (summary["status"], summary["rounds"]) == ("failed", 2)
        monkeypatch.undo()
        runs.resume(folder, Silent(), ["cluster.backend=serial"])
        whole = runs.run(small(**SMALL | lists), tmp_path / "whole", Silent())
        assert losses_of(folder).equals(losses_of(whole))

    @pytest.mark.parametrize("method", ["rank", "save"])
    def test_is_not_needed_for_what_comes_after_the_last_round(self, tmp_path, monkeypatch, method):
        """Of a run that converged, neither the last checkpoint nor the ranking is worth its results."""
        monkeypatch.setattr(persistence, "ATTEMPTS", 2)
        saves = 0 if method == "rank" else 4  # those of the first checkpoint
        backend = MortalBackend(lambda made, count: AFTER if made == method and count >= saves else None)
        monkeypatch.setattr(runs, "open_backend", lambda _: backend)
        ends = {"stop": {"rounds": 9, "tolerance": 1.0}, "metrics": {"top_k": 2}}
        folder = runs.run(small(**SMALL | {"cluster__checkpoint_every": 5} | ends), tmp_path, Silent())
        assert json.loads((folder / "summary.json").read_text())["status"] == "converged"
        events = [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]
        assert {"rank": "ranking_failed", "save": "checkpoint_failed"}[method] in events


@pytest.mark.parametrize(
    ("how", "deaths"),
    [(CTRL_C, {}), (CTRL_C, {30: MACHINE}), pytest.param(KILLED, {}, marks=pytest.mark.slow)],
    ids=["by Ctrl-C", "by Ctrl-C while going back", "by SIGKILL"],
)
def test_at_any_call_a_run_may_be_ended(tmp_path, monkeypatch, how, deaths):
    """Also while everybody starts again, and between a round's row and its checkpoint: it goes on as if
    nothing had happened."""
    chosen = small(**SMALL, metrics={"top_k": 2})
    whole = losses_of(runs.run(chosen.model_copy(update={"name": "whole"}), tmp_path, Silent()))
    backend = MortalBackend(deaths)
    monkeypatch.setattr(runs, "open_backend", lambda _: backend)
    runs.run(chosen, tmp_path / "all", Silent())
    for call in range(30, 70) if deaths else range(len(backend.made)):  # while all processes are replaced
        ended = MortalBackend(deaths | {call: how})
        monkeypatch.setattr(runs, "open_backend", lambda _, ended=ended: ended)
        with pytest.raises((KeyboardInterrupt, Killed)):
            runs.run(chosen, tmp_path / str(call), Silent())
        monkeypatch.undo()
        for folder in (tmp_path / str(call)).glob("small/*"):  # none if it ended before round 0
            assert (folder / "summary.json").is_file()
            if how == KILLED:
                (folder / "summary.json").unlink()
            if (folder / "rounds.csv").exists():
                runs.resume(folder, Silent())
                assert losses_of(folder).equals(whole)
