"""Lists of titles: side by side where there is room for three, and none cut where there is not."""

import io

from rich.console import Console

from fedmf_ray.cli.lists import show_recommendations
from fedmf_ray.engine.recommend import Recommendations, Shown

FOUND = Recommendations(
    "7", 8, [Shown("Lost Kitchen (family drama)", 5.0)], [Shown("Pale Neighbour (comedy)", 3.0)],
    [Shown("Northern Kitchen (family drama)", 4.72, 5.0)], 0.0,
)  # fmt: skip


def shown(width, **options):
    console = Console(file=io.StringIO(), width=width)
    show_recommendations(FOUND, console, **options)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_three_lists_fit_a_wide_terminal():
    head, row, note = shown(120)
    assert head.split("  ")[0] == "user 7 rated highest"
    assert "recommended before training" in head
    assert "recommended after 8 rounds" in head
    assert all(
        title in row
        for title in ("Lost Kitchen", "Pale Neighbour", "4.72 ★ 5 Northern Kitchen (family drama)")
    )
    assert note.startswith("★ what this user gave it")


def test_in_a_narrow_terminal_the_list_before_training_comes_below():
    lines = shown(80)
    assert "before" not in lines[0]
    assert "Northern Kitchen (family drama)" in lines[1]
    assert "3.00 Pale Neighbour (comedy)" in lines


def test_the_end_of_a_run_shows_two_lists_alone():
    assert not any("before" in line for line in shown(120, before=False))
