"""Dry plans: what a round would take on many machines, by hand and by command."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.costs.tariff import Line
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.study.estimate import Work
from fedmf_ray.study.machines import Driver, DryPlan, doubled, measure_driver

WORK = Work(10.0, 6400.0, 640.0, 2.0, shared=True, combined=True, servers=2)


@pytest.fixture
def plan():
    """10,000 users; each machine has 4 CPUs and sends 1 MB per second; a matrix of 1 MB in 100 pieces."""
    return DryPlan(
        work=WORK, driver=Driver(1e-3, 1e-5), users=10_000, per_actor=None, calls=500, matrix_bytes=10**6,
        read_bytes=10**6, sum_bytes=10**6, upload_bytes=10**8, add=Line(0.0, 1e-3), pieces=100, cpus=4,
        network=1e6,
    )  # fmt: skip


def test_on_one_machine_nothing_is_sent(plan):
    phases = plan.on(1)
    assert (phases.spread, phases.gather) == (0, 0)
    assert phases.read == 10 / 4
    assert phases.train == (6400 + 640) / 4
    assert phases.add == pytest.approx(4 * 50 * 1e-3)  # four sums, each half at either server
    assert phases.publish == 2.0
    assert phases.round_s == pytest.approx(2.5 + 1760 + 0.2 + 2)  # the driver works meanwhile


def test_on_many_machines_sums_and_calls_grow(plan):
    phases = plan.on(100)
    assert phases.read == 10 / 64
    assert phases.train == 7040 / 400
    assert phases.gather == 100 * 1.0 / 2  # 100 sums of a megabyte, to two servers
    assert phases.add == pytest.approx(
        4 * 100 * 1e-3 + 100 * 50 * 1e-3
    )  # on each machine, then at the servers
    assert phases.spread == pytest.approx(63 / 2 + 99 / 64)
    calls, references = 500 + 2 * 400 + 3 * 100 + 64 + 6, 400 * 64 + 500 * 2 + 64 * 2
    assert phases.driver == pytest.approx(calls * 1e-3 + references * 1e-5)
    assert phases.limit == "gather"


def test_a_tree_of_combiners_moves_the_limit_of_many_sums(plan):
    tree = replace(plan, tree=True).on(512)
    assert tree.gather == 3 * 8 * 1.0
    assert tree.add == pytest.approx((4 + 24) * 100 * 1e-3)
    assert tree.round_s < plan.on(512).round_s / 2


def test_a_local_driver_moves_the_limit_of_many_calls(plan):
    local = replace(plan, local=True)
    assert local.on(100).driver < plan.on(100).driver / 3
    assert local.on(100).gather == plan.on(100).gather


def test_where_a_round_saturates(plan):
    saturated = plan.saturated(1000)
    assert plan.on(saturated).round_s < 1.1 * plan.on(2 * saturated).round_s
    assert plan.on(saturated // 2).round_s >= 1.1 * plan.on(saturated).round_s
    assert replace(plan, network=1e15, add=Line(0, 0), driver=Driver(0, 0)).saturated(8) is None


def test_uploads_that_are_not_combined_go_to_servers_one_by_one(plan):
    single = replace(plan, work=replace(WORK, combined=False), per_actor=1)
    assert single.on(100).gather == 10**8 / 2 / 1e6
    assert single.on(100).add == 640 / 2
    assert "a tree of combiners" not in single.variants()


def test_actors_of_one_user_combine_nothing(plan):
    few = replace(plan, users=100)
    assert few.on(25).gather == 10**8 / 2 / 1e6
    assert few.on(24).gather == 24 * 1.0 / 2


def test_machines_are_doubled():
    assert doubled(1) == [1]
    assert doubled(8) == [1, 2, 4, 8]
    assert doubled(1000)[-3:] == [256, 512, 1000]


def test_the_driver_is_measured():
    driver = measure_driver(SerialBackend())
    assert 0 < driver.call_s < 1e-2


def test_the_command_says_where_it_saturates_and_calls_all_of_it_estimated(tmp_path):
    scenario = tmp_path / "many.yaml"
    scenario.write_text(
        "ratings: {source: synthetic, users: 5000, items: 50}\nmodel: {factors: 4}\n"
        "protocol: {scheme: plain}\ncluster: {backend: serial, users_per_actor: auto}\n"
    )
    done = CliRunner().invoke(cli, ["estimate", str(scenario), "--machines", "16", "--cpus", "4"])
    assert done.exit_code == 0, done.output
    assert "every figure is estimated" in done.output
    assert "\nestimated: " in done.output
    assert "a tree of combiners" in done.output
