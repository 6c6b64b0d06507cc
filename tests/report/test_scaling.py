"""Scaling over workers: settings and kinds of seconds apart, each line with its own ideal."""

import itertools

import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.scaling import scaling, strong, weak

PARTS = [column for part, column in SEGMENTS.items() if part != "server"]


@pytest.fixture
def workers():
    """Four users on one and two workers, under encryption and calibrated, on two sizes of items."""
    rows = [
        {"cell": cell, "ratings.items": items, "cluster.users_per_actor": 4 // actors, "round": 0,
         "basis": basis, "users": 4, "user_actors": actors, "wall_s": items / actors * scale}
        for cell, (items, actors, (basis, scale)) in enumerate(
            itertools.product([10, 20], [1, 2], [("measured", 1.0), ("charged", 0.1)]))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_scaling_keeps_settings_and_kinds_of_seconds_apart(workers):
    (axis,) = scaling(workers).axes  # no two cells with the same users a worker
    lines = {line.get_label(): line for line in axis.lines}
    assert set(lines) == {"4 users, items 10", "4 users, items 10 (charged)", "4 users, items 20",
                          "4 users, items 20 (charged)", "ideal"}  # fmt: skip
    assert all(line.get_ydata().tolist() == [1, 2] for line in lines.values())
    assert lines["4 users, items 10 (charged)"].get_markerfacecolor() == "white"


def test_each_line_of_scaling_has_the_ideal_of_its_own_fewest_workers():
    rows = [(120, 1, 12.0), (120, 2, 7.0), (240, 2, 12.0), (240, 4, 7.0)]
    table = pd.DataFrame(rows, columns=["users", "user_actors", "wall_s"])
    left, right = scaling(table).axes
    ideals = [line.get_xydata().tolist() for line in left.lines if line.get_color() == "black"]
    assert ideals == [[[1, 1], [2, 2]], [[2, 1], [4, 2]]]
    flat = [line.get_ydata().tolist() for line in right.lines if line.get_color() == "black"]
    assert flat == [[7.0, 7.0], [12.0, 12.0]]


def test_speed_up_and_weak_scaling_are_told_apart():
    rows = [(120, 1, 12.0), (120, 2, 7.0), (120, 4, 4.0), (60, 1, 6.5), (30, 1, 3.5)]
    table = pd.DataFrame(rows, columns=["users", "user_actors", "wall_s"])
    assert strong(table)[["workers", "speedup"]].values.tolist() == [[1, 1], [2, 12 / 7], [4, 3]]
    assert weak(table)[["users_per_worker", "workers", "wall_s"]].values.tolist() == [
        [30, 1, 3.5], [30, 4, 4.0], [60, 1, 6.5], [60, 2, 7.0]
    ]  # fmt: skip
    left, right = scaling(table).axes
    ideal = next(line for line in left.lines if line.get_label() == "ideal")
    assert ideal.get_ydata().tolist() == [1, 2, 4]
    assert right.get_ylim()[0] == 0
    with pytest.raises(FedMFError, match="no two cells"):
        scaling(table.iloc[:1])
