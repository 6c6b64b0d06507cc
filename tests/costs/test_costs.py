"""Charged time: the slowest user on its own device, and runs charged by unit costs instead of a clock."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.costs import unit_costs
from fedmf_ray.costs.devices import Deployment
from fedmf_ray.costs.seconds import SLOWEST, RoundCosts, UserCosts
from fedmf_ray.costs.tariff import Line, UnitCosts
from fedmf_ray.costs.unit_costs import Columns, measure
from fedmf_ray.engine import pricing
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import RULES
from fedmf_ray.learning.rules.gradient import Batch, Sequential
from fedmf_ray.learning.rules.item_item import ItemItem
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.sections import Devices, Network
from fedmf_ray.schemes.paillier.scheme import Elementwise, Packed
from fedmf_ray.schemes.plain import Plain
from fedmf_ray.study.estimate import estimate

PRICES = UnitCosts(
    decrypt=Line(0.5, 0.01),
    update=Line(0.25, 0.001),
    encrypt=Line(0.125, 0.02),
    receive=Line(1e-3, 1e-5),
    publish=Line(2e-3, 2e-5),
    credit=Line(0.0, 1e-4),
)
RATED = dataclasses.replace(
    PRICES,
    open=Line(0.125, 0.008),
    weigh=Line(0.25, 0.003),
    settle=Line(0.5, 0.002),
    seal=Line(0.0625, 0.001),
)
LOSSES = ["train_mse", "test_rmse", "test_mae"]


def devices(seed=1, **changes):
    link = Network(upload_gbps=8.0, download_gbps=4.0, latency_s=0.5)
    return Deployment(link, Devices(**changes), seed)


def three_users():
    return UserCosts(
        user_id=np.array([7, 8, 9]),
        decrypt_cpu_s=np.array([2.0, 2.0, 2.0]),
        update_cpu_s=np.array([1.0, 3.0, 0.0]),
        encrypt_cpu_s=np.array([4.0, 1.0, 0.0]),
        download_bytes=np.array([10**9] * 3),
        upload_bytes=np.array([10**9, 5 * 10**9, 0]),
        upload_rows=np.array([1, 5, 0]),
        upload_blocks=np.array([1, 2, 0]),
    )


@pytest.mark.parametrize("slowdown", [1.0, 3.0])
def test_the_slowest_user_decides_and_its_parts_add_up(slowdown):
    costs = RoundCosts()
    costs.add(three_users(), devices(slowdown=slowdown).seconds(three_users()))
    row = costs.row(server_cpu_s=0.25, basis="measured")
    # Downloads take 2 + 0.5 s. User 8 uploads for 5.5 s and computes for 6, user 7 for 1.5 and 7.
    slowest = {1.0: [2.5, 2.0, 3.0, 1.0, 5.5], 3.0: [2.5, 6.0, 9.0, 3.0, 5.5]}[slowdown]
    assert [row[f"slowest_{part}"] for part in SLOWEST] == slowest
    assert row["protocol_s"] == sum(slowest) + 0.25
    assert row["user_cpu_s_max"] == 7.0  # as measured, on this machine
    assert row["user_update_cpu_s_mean"] == pytest.approx(4 / 3)
    assert row["network_s_max"] == 8.0


def test_users_may_be_added_some_at_a_time():
    whole, parts = RoundCosts(), RoundCosts()
    whole.add(three_users(), devices().seconds(three_users()))
    for at in range(3):
        one = UserCosts(*(column[at : at + 1] for column in three_users()))
        parts.add(one, devices().seconds(one))
    assert parts.row(1.0, "measured") == whole.row(1.0, "measured")


def test_a_users_slowdown_depends_on_the_seed_and_its_id_alone():
    ids = np.array([1, 2, 65535, 65536, 10**12])
    spread = devices(slowdown=2.0, slowdown_sigma=0.5)
    drawn = spread.slowdowns(ids)
    assert len(set(drawn.tolist())) == 5
    assert [spread.slowdowns(ids[[at]])[0] for at in range(5)] == drawn.tolist()
    assert (devices(slowdown=2.0, slowdown_sigma=0.5, seed=2).slowdowns(ids) != drawn).all()
    logs = np.log(spread.slowdowns(np.arange(200_000)) / 2)
    assert (logs.mean(), logs.std()) == (pytest.approx(0, abs=0.01), pytest.approx(0.5, abs=0.01))


@pytest.fixture
def ratings_file(tmp_path):
    """User k of 1 to 5 has rated items 1 to k + 2; user 6 only an unpopular one."""
    pairs = [(user, item) for user in range(1, 6) for item in range(1, user + 3)] + [(6, 99)]
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating\n" + "".join(f"{u},{i},{(u + i) % 5 + 1}\n" for u, i in pairs))
    return path


@pytest.fixture
def prices(monkeypatch):
    """Known unit costs instead of this machine's."""
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda *setting: PRICES)


def chosen(path, **protocol):
    tree = {
        "name": "charged",
        "ratings": {"source": "file", "path": str(path), "select": {"items": 7, "min_ratings": 0}},
        "test": {"fraction": 0.3},
        "model": {"factors": 4, "learning_rate": 0.02},
        "protocol": {"scheme": "plain", "key_bits": 1024, **protocol},
        "stop": {"rounds": 2},
        "cluster": {"backend": "serial"},
    }
    return scenario_file.parse(tree, "x.yaml")


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
def test_a_calibrated_run_has_the_model_and_the_bytes_of_the_real_one(
    tmp_path, ratings_file, prices, scheme, sparsity
):
    dial = {"part_text_sparsity": sparsity}
    folders = [
        run(chosen(ratings_file, **protocol, **dial), tmp_path / "results", Silent())
        for protocol in ({"scheme": scheme}, {"charge": scheme})
    ]
    real, charged = (pd.read_csv(folder / "rounds.csv") for folder in folders)
    same = [*LOSSES, "upload_bytes_total", "download_bytes_total", "users", "network_s_max"]
    assert real[same].equals(charged[same])
    assert set(real["basis"]) == {"measured"}
    assert set(charged["basis"]) == {"charged"}
    assert (charged["users"] == 6).all()  # also the one who rated none of the seven items
    real, charged = (pd.read_csv(folder / "users.csv.gz") for folder in folders)
    counted = ["round", "user_id", "upload_bytes", "download_bytes", "upload_rows", "upload_blocks"]
    assert real[counted].equals(charged[counted])
    assert set(charged["basis"]) == {"charged"}


@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_users_who_read_what_they_rated_are_charged_for_that(tmp_path, ratings_file, monkeypatch, sparsity):
    """And for the seals of what they download, decoys or not."""
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda *setting: RATED)
    dials = {"charge": "elementwise", "reading": "rated", "part_text_sparsity": sparsity}
    scenario = chosen(ratings_file, **dials)
    folder = run(scenario, tmp_path, Silent())
    users, rounds = (pd.read_csv(folder / name) for name in ("users.csv.gz", "rounds.csv"))
    rated = np.array([2, 3, 3, 4, 5, 0])
    downloaded = 4 * (rated if sparsity else np.full(6, 7))
    expected = 0.0625 + 0.001 * downloaded + 0.125 + 4 * rated * 0.008
    assert users["decrypt_cpu_s"].to_numpy() == pytest.approx(np.tile(expected, 2), rel=1e-5)
    parts = min(6, round((7 * 4 * 256 / (64 + 256 + 28)) ** 0.5))
    weigh, seal = parts * 0.25 + 28 * 0.003, parts * 0.0625 + 28 * 0.001
    settle = 0.5 + parts * 0.002 + 6 * 1e-4
    assert rounds["seal_cpu_s"].to_numpy() == pytest.approx(weigh + settle + seal)
    estimated = estimate(scenario, SerialBackend())
    assert estimated.row["user_decrypt_cpu_s_mean"] == pytest.approx(expected.mean())
    assert estimated.row["seal_cpu_s"] == pytest.approx(weigh + settle + seal)
    assert sum(step.cpu_s for step in estimated.steps) == pytest.approx(estimated.deployed_cpu_s)
    assert {"weigh", "settle", "seal", "open"} < {step.name for step in estimated.steps}


def test_a_calibrated_run_is_charged_unit_costs_times_work(tmp_path, ratings_file, prices):
    folder = run(chosen(ratings_file, charge="elementwise"), tmp_path, Silent())
    row = pd.read_csv(folder / "rounds.csv").iloc[0]
    prices_shown = json.loads((folder / "environment.json").read_text())["unit_costs"]
    assert prices_shown["encrypt"] == {"fixed": 0.125, "each": 0.02}
    # Seven items of four ciphertexts, and the tags of six users to check. User 5 trains on 5 of its 7
    # ratings and uploads as many rows.
    assert row["slowest_decrypt_s"] == pytest.approx(0.5 + 28 * 0.01 + 6 * 1e-4)
    assert row["slowest_update_s"] == pytest.approx(0.25 + 5 * 0.001)
    assert row["slowest_encrypt_s"] == pytest.approx(0.125 + 20 * 0.02)
    uploads = 2 + 3 + 3 + 4 + 5 + 0  # 30 % of 3 to 7 ratings are held out
    assert row["server_cpu_s"] == pytest.approx(6e-3 + uploads * 4 * 1e-5 + 2e-3 + 28 * 2e-5)


def test_unit_costs_are_measured_once_for_a_setting(monkeypatch, tmp_path, ratings_file):
    seen = []
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda *setting: seen.append(setting) or PRICES)
    for scheme in ("packed", "packed", "elementwise"):
        run(chosen(ratings_file, charge=scheme), tmp_path, Silent())
    assert seen == [
        (Packed(1024), Sequential(), Columns(4, False, 1), True),
        (Elementwise(1024), Sequential(), Columns(4, False, 1), False),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 4, 8])
@pytest.mark.parametrize("more", [0, 1])  # the tag of an upload
def test_sizes_that_are_measured_do_not_mislead_where_a_kernel_works_on_several(at_once, more):
    """The line through two sizes, if eight cost as much as one: right for many, and for few on average."""
    small, large = Packed.unit_rows

    def turns(size):
        return -(-(size + more) // at_once)

    each = (turns(large) - turns(small)) / (large - small)
    fixed = turns(small) - each * small
    assert fixed + each * 4000 == pytest.approx(turns(4000), rel=0.002)
    errors = [fixed + each * size - turns(size) for size in range(1, 161)]
    assert abs(np.mean(errors)) < 0.5


def test_cells_that_differ_in_regularisers_are_charged_alike(monkeypatch, tmp_path, ratings_file):
    seen = []
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda *setting: seen.append(setting) or PRICES)
    for weight in (1.0, 30.0):
        tree = chosen(ratings_file, charge="packed").model_dump(mode="json")
        tree["model"] |= {"rule": "ridge", "reg_user": weight, "reg_item": weight, "biases": True}
        tree["protocol"]["update_bound"] = 8.0
        run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent())
    assert len(seen) == 1


SHAPES = [(Elementwise(1024), Batch(), Columns(64, False, 1))]
SHAPES += [
    (scheme, RULES.get(name)(), columns)
    for name in RULES.names()
    for scheme, columns in ((Plain(), Columns(64, False, 1)), (Packed(1024), Columns(32, True, 2)))
]
LINES = ("decrypt", "update", "encrypt", "receive", "publish")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, (shape[0].name, *shape[1:]))))
def test_measured_unit_costs_are_positive_and_grow_with_size(monkeypatch, shape):
    """With few repeats, neighbours on the machine may hide a small slope: it may be measured again."""
    monkeypatch.setattr(unit_costs, "_BUDGET_S", 0.05)
    # What of the rule of pairs grows with ratings is the line of passing tables: ten nanoseconds are left.
    names = [name for name in LINES if name != "update" or not isinstance(shape[1], ItemItem)]
    for _ in range(4):
        unit = measure(*shape)
        lines = {name: getattr(unit, name) for name in names}
        if all(line.each > 0 for line in lines.values()):
            break
    for name, line in lines.items():
        assert line.fixed >= 0, name
        assert line.each > 0, name
        assert line(100) > line(1), name
    if isinstance(shape[0], Packed):
        assert unit.decrypt.each > unit.receive.each  # a modular power against a product


def test_only_a_run_in_the_clear_is_charged(ratings_file):
    with pytest.raises(FedMFError, match="charge: packed needs scheme: plain, a packed run is measured"):
        chosen(ratings_file, scheme="packed", charge="packed")


def test_a_layout_that_cannot_be_charged_is_refused_before_it_runs(tmp_path, ratings_file):
    wide = {"fraction_bits": 50, "value_bound": 1000.0}
    with pytest.raises(FedMFError, match="no slot holds more than 57"):
        run(chosen(ratings_file, charge="packed", **wide), tmp_path, Silent())
