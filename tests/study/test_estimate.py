"""Estimates: the row of a run that never took place."""

import dataclasses

import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.costs.tariff import Line, UnitCosts
from fedmf_ray.engine import pricing
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.placement import MOST_READERS, Memory
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.estimate import Estimate, Work, estimate

READING = ("open", "weigh", "settle", "seal")
PRICES = UnitCosts(
    *(Line(1.0 / 2**k, 1.0 / 2 ** (k + 4)) for k in range(6)),
    **{name: Line(1.0 / 2**k, 1.0 / 2 ** (k + 5)) for k, name in enumerate(READING)},
)


@pytest.fixture(autouse=True)
def prices(monkeypatch):
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda *setting: PRICES)


def chosen(users=7, items=12, **changes):
    tree = {
        "name": "x",
        "ratings": {"source": "synthetic", "users": users, "items": items, "sparsity": 0.5},
        "model": {"factors": 4, "learning_rate": 0.02},
        "protocol": {"key_bits": 1024},
        "stop": {"rounds": 3},
        "cluster": {"backend": "serial"},
    }
    return scenario_file.parse(tree | changes, "x.yaml")


def test_a_calibrated_run_takes_here_what_a_run_in_the_clear_takes(monkeypatch):
    """It charges encryption's seconds and spends its own."""
    cheap = UnitCosts(*(Line(line.fixed / 100, line.each / 100) for line in list(vars(PRICES).values())[:6]))
    monkeypatch.setattr(pricing, "_unit_costs", {})
    monkeypatch.setattr(pricing, "measure", lambda scheme, *_: cheap if scheme.lightweight else PRICES)
    clear, calibrated = (
        estimate(chosen(protocol={"scheme": "plain", "key_bits": 1024, **charge}), SerialBackend())
        for charge in ({}, {"charge": "packed"})
    )
    for total in ("simulation_cpu_s", "simulation_wall_s", "simulation_memory_bytes"):
        assert calibrated.totals[total] == clear.totals[total]
    assert calibrated.row["protocol_s"] > 10 * clear.row["protocol_s"]
    assert calibrated.totals["deployed_cpu_s"] > 10 * clear.totals["deployed_cpu_s"]


@pytest.mark.parametrize("sparsity", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("charge", ["packed", "elementwise"])
def test_an_estimate_is_the_row_of_a_calibrated_run(tmp_path, charge, sparsity):
    """On ratings from a file the work is known exactly, so only the basis and the wall clock differ."""
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating\n" + "".join(f"{u},{i},3\n" for u in range(5) for i in range(u + 1)))
    charged = chosen(
        ratings={"source": "file", "path": str(path)},
        protocol={"scheme": "plain", "charge": charge, "key_bits": 1024, "part_text_sparsity": sparsity},
        devices={"slowdown": 2.0, "slowdown_sigma": 0.8},
    )
    row = pd.read_csv(run(charged, tmp_path, Silent()) / "rounds.csv").iloc[-1].to_dict()
    estimated = estimate(charged, SerialBackend()).row
    assert set(estimated) == set(row) - {"round", "train_mse", "test_rmse", "test_mae"}
    assert estimated.pop("basis") == "estimated"
    estimated.pop("wall_s")
    for column, value in estimated.items():
        assert row[column] == pytest.approx(value, rel=1e-12), column


def test_synthetic_users_rate_as_many_items_as_they_would(tmp_path):
    """Not the very counts, but their law: sums over 2,000 users agree within two percent."""
    many = chosen(
        users=2000,
        items=40,
        protocol={"scheme": "plain"},
        model={"factors": 4},
        test={"last": 3},
        stop={"rounds": 1},
        cluster={"backend": "serial", "users_per_actor": "auto", "checkpoint_every": "never"},
    )
    real = pd.read_csv(run(many, tmp_path, Silent()) / "rounds.csv").iloc[0]
    estimated = estimate(many, SerialBackend()).row
    assert estimated["upload_bytes_total"] == pytest.approx(real["upload_bytes_total"], rel=0.02)
    assert estimated["download_bytes_total"] == real["download_bytes_total"]


def test_millions_of_users_are_estimated_without_being_made():
    """Three million are more than are looked at together."""
    many = 3 * 10**6
    estimated = estimate(chosen(users=many, items=200, model={"factors": 13}), SerialBackend())
    assert estimated.users == many
    assert estimated.row["upload_bytes_total"] == pytest.approx(many * (100 * (256 + 8) + 256), rel=0.001)
    assert estimated.deployed_cpu_s > many


ESTIMATED = Estimate(
    row={"wall_s": 500.0},
    rounds=7,
    users=1000,
    actors=2,
    deployed_cpu_s=0.0,
    work=Work(20.0, 8000.0, 60.0, 5.0, shared=True, combined=True, servers=1),
    memory=Memory(actor=10**9, user=10**6, server=10**9),
    layout="",
    unit=PRICES,
)


def test_totals_of_a_simulation():
    totals = ESTIMATED.totals
    assert totals["simulation_cpu_s"] == 7 * (20 + 8000 + 60 + 5)  # the matrix is read once for all
    assert totals["simulation_wall_s"] == 3500
    assert totals["simulation_memory_bytes"] == 2 * 10**9 + 1000 * 10**6 + 10**9


@pytest.mark.parametrize(
    ("cpus", "memory_gb", "within_s", "machines"),
    [
        (8, 64, 106, 10),  # 101 s are left for 8,080 CPU seconds: 80 actors
        (8, 64, 8085, 1),
        (8, 4, 106, 27),  # three actors beside users fit in 4 GB: 80 / 3
        (64, 1.5, 8085, 4),  # one actor leaves half a GB of each for 2 GB of users and server
    ],
)
def test_machines_are_as_many_as_time_and_memory_need(cpus, memory_gb, within_s, machines):
    assert ESTIMATED.machines(cpus, memory_gb, within_s) == machines


@pytest.mark.parametrize(
    ("memory_gb", "within_s", "message"),
    [
        (64, 5, "5 s of a round are work that is not shared"),
        (0.5, 500, "0.5 GB hold neither an actor"),
    ],
)
def test_what_no_number_of_machines_can_do_is_said(memory_gb, within_s, message):
    with pytest.raises(FedMFError, match=message):
        ESTIMATED.machines(8, memory_gb, within_s)


def test_a_simulated_round_waits_for_the_slowest_of_users_and_server():
    work = Work(10.0, 100.0, 30.0, 2.0, shared=False, combined=False, servers=1)
    assert work.wall_s(actors=1, cpus=1) == 10 + 130 + 2
    assert work.wall_s(actors=4, cpus=4) == 10 + 32.5 + 2  # the server is on one of the four
    assert work.wall_s(actors=8, cpus=4) == 20 + 32.5 + 2  # two matrices read on each
    assert work.wall_s(actors=100, cpus=100) == 10 + 30 + 2
    sharded = dataclasses.replace(work, servers=2)
    assert sharded.wall_s(actors=100, cpus=100) == 10 + 15 + 1
    everything = dataclasses.replace(sharded, shared=True, combined=True)
    assert everything.wall_s(actors=50, cpus=50) == 0.2 + 2.6 + 1
    assert everything.wall_s(actors=100, cpus=100) == 10 / MOST_READERS + 1.3 + 1


def test_the_central_baseline_has_no_protocol_to_estimate():
    with pytest.raises(FedMFError, match="regular_mf has no protocol"):
        estimate(chosen(model={"algorithm": "regular_mf"}), SerialBackend())


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        chosen().to_yaml() + "sweep:\n  ratings.users: [5, 10]\n  protocol.part_text_sparsity: [0, 1.0]\n"
    )
    return path


def test_the_command_shows_a_line_a_cell_and_writes_rows_like_those_of_a_study(study, tmp_path):
    table = tmp_path / "out" / "e.csv"
    done = CliRunner().invoke(
        cli,
        ["estimate", str(study), "-o", str(table), "--within", "500", "--cpus", "4"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    assert "the study takes about" in done.stdout
    assert done.stdout.count(" of 4 CPUs and 128 GB") == 4
    rows = pd.read_csv(table)
    assert rows["ratings.users"].tolist() == [5, 5, 10, 10]
    assert rows["users"].tolist() == [5, 5, 10, 10]
    assert set(rows["basis"]) == {"estimated"}
    assert list(rows.columns[:4]) == ["cell", "ratings.users", "protocol.part_text_sparsity", "round"]


def test_the_command_shows_a_scenarios_round_and_totals(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(chosen().to_yaml())
    done = CliRunner().invoke(cli, ["estimate", str(path), "ratings.users=9"], catch_exceptions=False)
    assert done.stdout.startswith("9 users in 9 actors, ")
    for word in (
        "protocol_s",
        "slowest_decrypt_s",
        "server_cpu_s",
        "3 rounds, estimated",
        "deployed_cpu_s",
        "µs are measured here",
    ):
        assert word in done.stdout


@pytest.mark.parametrize("scheme", ["packed", "plain", "masked", "committee"])
def test_the_printed_lines_can_be_recomputed_by_hand(tmp_path, scheme):
    path = tmp_path / "x.yaml"
    path.write_text(chosen().to_yaml())
    words = [str(path), "ratings.users=9", f"protocol.scheme={scheme}", "-o", str(tmp_path / "rows.csv")]
    done = CliRunner().invoke(cli, ["estimate", *words], catch_exceptions=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    start = next(at for at, line in enumerate(lines) if line[:3] == ["CPU", "of", "a"])
    total, seen = 0.0, []
    for name, *cells in lines[start + 1 :]:
        if name == "together":
            together = float(cells[0].replace(",", ""))
            break
        if len(cells) < 5:
            continue  # words that go over two lines
        calls, fixed, pieces, each, seconds = (float(cell.replace(",", "")) for cell in cells[:5])
        assert calls * fixed / 1e6 + pieces * each / 1e6 == pytest.approx(seconds, rel=1e-4, abs=1e-6)
        total += seconds
        seen.append(name)
    assert total == pytest.approx(together, rel=1e-4, abs=1e-5)
    assert {"open" if scheme == "packed" else "decrypt", "update", "encrypt", "receive", "publish"} <= set(
        seen
    )
    (row,) = pd.read_csv(tmp_path / "rows.csv").to_dict("records")
    users = sum(9 * row[f"user_{part}_cpu_s_mean"] for part in ("decrypt", "update", "encrypt"))
    assert ("reopen" in seen) == (row["open_cpu_s"] > 0)
    assert ("settle" in seen) == (row["seal_cpu_s"] > 0) == (scheme == "packed")
    others = row["server_cpu_s"] + row["open_cpu_s"] + row["seal_cpu_s"]
    assert together == pytest.approx(users + others, rel=1e-4, abs=1e-5)
