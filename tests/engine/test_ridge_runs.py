"""Whole runs of the ridge rule and of the census: exact whoever dies, and the counts are the truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.planning.plan import Plan
from tests.support.faults import FaultyBackend, train
from tests.support.small_runs import LOSSES, rounds_of, small

RIDGE = {
    "model__rule": "ridge",
    "model__biases": True,
    "model__mean": 3.5,
    "model__reg_user": 3.0,
    "model__reg_item": 1.0,
    "protocol__update_bound": 2.0,
    "ratings__users": 8,
    "ratings__items": 20,
    "stop__rounds": 5,
}
SOME = {"share": 0.8, "dropout": 0.2, "late": 0.1}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """V and losses in the clear, with everybody present, and with some of them absent, late or lost."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {
        name: train(small(**RIDGE, protocol__scheme="plain", **some), SerialBackend(), folder / name)
        for name, some in {"all": {}, "some": {"participation": SOME}}.items()
    }


class TestBits:
    @pytest.mark.parametrize(
        "changes",
        [
            {"protocol__scheme": "packed"},
            {"protocol__scheme": "packed", "protocol__part_text_sparsity": 0.0},
            {"protocol__scheme": "packed", "cluster__users_per_actor": 3, "cluster__server_shards": 3},
            {"protocol__scheme": "elementwise", "stop__rounds": 2},
            {"protocol__scheme": "plain", "cluster__users_per_actor": 8},
        ],
        ids=["packed", "full text", "shards", "elementwise", "together"],
    )
    def test_schemes_and_placement_agree(self, tmp_path, undisturbed, changes):
        items, losses, _ = train(small(**RIDGE | changes), SerialBackend(), tmp_path)
        assert losses == undisturbed["all"][1][: len(losses)]
        if len(losses) == RIDGE["stop__rounds"]:
            assert np.array_equal(items, undisturbed["all"][0])

    @pytest.mark.parametrize("who", [pytest.param("all", marks=pytest.mark.slow), "some"])
    def test_processes_that_die_change_nothing(self, local_ray, tmp_path, undisturbed, who):
        faults = [
            ("train", 1, "UserActor"),
            ("open_round", 5, "UserActor"),
            ("close", 5, "ServerActor"),
            ("train", 8, "UserActor"),
        ]
        some = {"participation": SOME} if who == "some" else {}
        on_ray = {"cluster__backend": "ray", "cluster__users_per_actor": 4, "cluster__server_shards": 2}
        backend = FaultyBackend(faults)
        scenario = small(**RIDGE | some, **on_ray, cluster__checkpoint_every=3)
        items, losses, events = train(scenario, backend, tmp_path)
        assert np.array_equal(items, undisturbed[who][0])
        assert losses == undisturbed[who][1]
        assert len(backend.killed) == 4
        assert {"user_actor_died", "server_died"} <= {event for event, _ in events}

    @pytest.mark.parametrize("rounds", [1, 3])
    def test_a_run_goes_on_as_if_nothing_had_happened(self, tmp_path, undisturbed, rounds):
        folder = run(small(**RIDGE | {"stop__rounds": rounds}, participation=SOME), tmp_path, Silent())
        resume(folder, Silent(), ["stop.rounds=5"])
        rows = pd.read_csv(folder / "rounds.csv")
        assert rows[LOSSES].to_numpy().tolist() == undisturbed["some"][1]


class Watched:
    """A run in one process whose users can be looked at: what they know, and what V has of them."""

    def __init__(self, **changes):
        scenario = small(**RIDGE | {"protocol__scheme": "plain", "cluster__users_per_actor": 8} | changes)
        self.plan, self.backend = Plan.of(scenario), SerialBackend()
        self.federation = Federation(scenario, self.plan, self.backend, Silent())
        self.users = self.federation._crew.users[0]._users

    @property
    def rows(self):
        return self.federation._crew.users[0].items_in_the_clear()

    def read(self, counted, rows=None):
        """v_j, 1, b_j as a user reads them, whatever ``min_raters`` hides."""
        setting = replace(self.plan.terms.setting, min_raters=1)
        tables = [self.rows if rows is None else rows]
        return self.plan.terms.rule.read(tables, setting, counted).vectors

    def owners(self):
        return np.repeat(np.arange(len(self.users)), np.diff(self.users.train.starts))


def as_the_page_says(block, start, steps, rounds):
    """v_j and b_j after each round by docs/quality.md: real numbers, values and no sums, loops, LAPACK."""
    items, d = start.shape
    v, b, counts = start.copy(), np.zeros(items), np.bincount(block.items, minlength=items)
    users = [block.part(user, user + 1) for user in range(len(block.starts) - 1)]
    penalty = np.diag([steps.reg_user] * d + [steps.reg_user_bias])
    fewest = max(48.0, steps.reg_item * 128 * 3 / 4)
    parts, curvature = np.zeros(len(users)), np.zeros(items)
    for number in range(rounds):
        dv, db, grown = np.zeros_like(v), np.zeros_like(b), np.zeros(items)
        for at, mine in enumerate(users):
            j = mine.items
            x = np.column_stack([v[j], np.ones(len(j))])
            u = np.linalg.solve(x.T @ x + penalty, x.T @ (mine.values - b[j]))
            error = mine.values - b[j] - x @ u
            part = np.ceil(u[:d] @ u[:d] * 128) / 128
            if number == 0:
                dv[j] += (
                    1.6
                    * error[:, None]
                    * u[:d]
                    / (4 / 3 * max(part, 1 / 128) * (counts[j] + fewest))[:, None]
                )
                db[j] += 1.6 * error / (4 * counts[j] + steps.reg_item_bias)
            else:
                along = np.maximum(curvature[j] + max(part - parts[at], 0), counts[j] * part / 4)
                pull = steps.reg_item * v[j] / counts[j, None]
                dv[j] += 1.6 * (error[:, None] * u[:d] - pull) / (4 / 3 * along + steps.reg_item)[:, None]
                pull = steps.reg_item_bias * b[j] / counts[j]
                db[j] += 1.6 * (error - pull) / (4 * counts[j] + steps.reg_item_bias)
            parts[at] = part
            grown[j] += part
        v, b, curvature = v + dv, b + db, grown
        yield v, b


@pytest.mark.parametrize("weight", [0.1, 1.0, 4.0])
def test_a_run_does_what_the_page_says(weight):
    """Through sums, counts, columns, grids and credits: up to rounding, of biases to ten bits or so."""
    changes = {"model__reg_item": weight, "protocol__fraction_bits": 30, "protocol__update_bound": 8.0}
    watched = Watched(**changes, ratings__users=30, cluster__users_per_actor=30)
    setting, block = watched.plan.terms.setting, watched.users.train.whole
    start = watched.read(counted=False)[:, : setting.factors]
    expected = as_the_page_says(block, start, setting.steps, 5)
    for _, (v, b) in zip(watched.federation.rounds(), expected, strict=True):
        read = watched.read(counted=True)
        rated = watched.rows[:, -1] > 0
        assert read[rated, :-2] == pytest.approx(v[rated], abs=1e-3)
        assert read[rated, -1] == pytest.approx(b[rated], abs=1e-3)


def test_without_a_census_users_learn_while_they_count_themselves():
    """Who knows how many rated an item only when the round is over divides then."""
    watched = Watched()
    first = next(watched.federation.rounds())
    raters = np.bincount(watched.users.train.items, minlength=len(watched.rows))
    assert watched.rows[:, -1].tolist() == raters.tolist()
    assert first.row["train_mse"] < 0.9 * watched.federation.setup["initial_train_mse"]


class TestCensus:
    def test_counts_raters_and_leaves_the_rest_alone(self):
        watched = Watched(protocol__min_raters=2, protocol__fraction_bits=20)
        terms, factors = watched.plan.terms, watched.plan.terms.setting.factors
        before = watched.rows.copy()
        next(watched.federation.rounds())
        after = watched.rows
        raters = np.bincount(watched.users.train.items, minlength=terms.blocks.items)
        assert after[:, -1].tolist() == raters.tolist()
        assert (after[:, terms.learns : -1] == 0).all()
        start = terms.start.items(terms.blocks.items, factors)
        for rows in (before, after):
            read = watched.read(counted=False, rows=rows)
            assert np.abs(read[:, :factors] - start).max() <= 1e-5
            assert (read[:, -1] == 0).all()

    def test_weak_regularisers_do_not_lose_the_start(self):
        """A census must not shrink it, nor rounding: users whose vectors are nothing learn nothing."""
        weak = {"model__reg_item": 1e-5, "model__init_scale": 0.03, "protocol__fraction_bits": 12}
        weak |= {"protocol__update_bound": 32.0, "protocol__value_bound": 16.0}
        for least in (1, 2):
            watched = Watched(**weak, protocol__min_raters=least, stop__rounds=8)
            losses = [done.row["train_mse"] for done in watched.federation.rounds()]
            assert losses[-1] < 0.7 * losses[1]

    @pytest.mark.parametrize("who", [{}, SOME], ids=["all", "some"])
    @pytest.mark.parametrize("least", [1, 3])
    def test_columns_are_what_raters_put_there(self, who, least):
        """Whoever is absent, late or lost: L_j and n_j are the sums of what arrived, to the last bit."""
        watched = Watched(participation=who, stop__rounds=9, protocol__min_raters=least)
        for done in watched.federation.rounds():
            users, rows, owners = watched.users, watched.rows, watched.owners()
            items = len(rows)
            counts = np.bincount(users.train.items, users.counted[owners], items)
            assert rows[:, -1].tolist() == counts.tolist(), done.row["round"]
            curvature = np.bincount(users.train.items, users.parts[:, 0], items)
            assert rows[:, -2].tolist() == curvature.tolist(), done.row["round"]
        assert users.counted.all()
        enough = (counts >= least)[users.train.items]
        assert (users.parts[~enough] == 0).all()
        assert (users.parts[enough] > 0).mean() > (0.8 if who else 0.999)

    @pytest.mark.parametrize("rule", ["ridge", "batch", "sequential"])
    def test_rows_with_too_few_raters_never_move(self, rule):
        ridge = rule == "ridge"
        watched = Watched(
            model__rule=rule, protocol__min_raters=4, ratings__sparsity=0.6, model__learning_rate=1e-3
        )
        rounds = watched.federation.rounds()
        losses = [next(rounds).row["train_mse"]]  # of the census
        before = watched.rows.copy()
        losses += [done.row["train_mse"] for done in rounds]
        raters = np.bincount(watched.users.train.items, minlength=len(before))
        few = raters < 4
        assert 3 < few.sum() < 17
        moved = (watched.rows != before)[:, : watched.plan.terms.learns + ridge].any(axis=1)
        assert moved.tolist() == (~few).tolist()
        assert losses[-1] < losses[1]

    def test_a_server_learns_nothing_from_min_raters(self, tmp_path):
        """Users upload zeros for rows that are too rare, so what arrives is the same in number and size."""
        seen = [rounds_of(tmp_path, **RIDGE | {"protocol__min_raters": least}) for least in (1, 4)]
        for column in ("upload_bytes_total", "uploads", "download_bytes_total"):
            assert seen[0][column].equals(seen[1][column])
        assert not seen[0]["train_mse"].equals(seen[1]["train_mse"])


@pytest.mark.parametrize("rule", ["sequential", "batch", "ridge"])
def test_biases_help_and_every_rule_learns(tmp_path, rule):
    changes = RIDGE | {"model__rule": rule, "protocol__scheme": "plain", "stop__rounds": 12}
    gradient = {} if rule == "ridge" else {"model__reg_user": 0.01, "model__reg_item": 0.01}
    losses = rounds_of(tmp_path, **changes | gradient)["train_mse"]
    assert losses.iloc[-1] < losses.iloc[0]
    factors_alone = rounds_of(tmp_path, **changes | gradient | {"model__biases": False})["train_mse"]
    assert losses.iloc[-1] < factors_alone.iloc[-1]


@pytest.mark.parametrize("key", ["reg_user", "reg_item", "reg_user_bias", "reg_item_bias"])
def test_ridge_without_a_ridge_is_refused(key):
    with pytest.raises(Exception, match=f"ridge needs .*{key}"):
        small(**RIDGE | {f"model__{key}": 0.0})
