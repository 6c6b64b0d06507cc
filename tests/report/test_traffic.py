"""Bytes of a user, up and down."""

from fedmf_ray.report.breakdown import PARTS as SEGMENTS
from fedmf_ray.report.traffic import traffic, traffic_of_runs

PARTS = [column for part, column in SEGMENTS.items() if part != "server"]


def test_traffic_is_of_one_user(mixed):
    axes = traffic(mixed).axes
    assert [axis.get_title(loc="left") for axis in axes] == [
        "up (counted or charged)",
        "down (counted or charged)",
    ]
    assert {axis.get_ylabel() for axis in axes} == {"MB per user and round"}
    assert axes[0].lines[0].get_ydata().tolist() == [4, 40]
    assert axes[1].lines[0].get_ydata().tolist() == [8, 80]


def test_bytes_of_runs_are_bars_with_their_basis(mixed):
    tables = [("one", mixed.iloc[:1]), ("two", mixed.iloc[1:2])]
    up, down = traffic_of_runs(tables).axes
    assert [bar.get_width() for bar in up.containers[0]] == [4, 4]
    assert [bar.get_width() for bar in down.containers[0]] == [8, 8]
    assert [text.get_text() for text in up.get_yticklabels()] == ["one", "two (charged)"]
    assert [bool(bar.get_hatch()) for bar in up.containers[0]] == [False, True]
