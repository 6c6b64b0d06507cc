"""What a user would be shown: its lists side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rich.table import Table

from fedmf_ray.cli.console import escaped, out

if TYPE_CHECKING:
    from rich.console import Console

    from fedmf_ray.engine.recommend import Recommendations, Shown


_NARROW = 110
"""Columns of a terminal that do not hold three lists of titles."""


def show_recommendations(found: Recommendations, console: Console = out, before: bool = True) -> None:
    """What a user rated highest, and its lists before and after training, side by side.

    before: whether the list before training is shown; in a narrow terminal it comes below the others.
    """
    rated, trained = f"user {escaped(found.user)} rated highest", f"recommended after {found.rounds} rounds"
    untrained = ("recommended before training", found.before)
    wide = console.width >= _NARROW
    between = [untrained] if before and wide else []
    _side_by_side(console, (rated, found.liked), *between, (trained, found.after))
    if before and not wide:
        console.print()
        _side_by_side(console, untrained)
    if any(one.held_out is not None for one in (*found.before, *found.after)):
        console.print("★ what this user gave it: a rating that was held out from training", style="dim")
    if found.popularity:
        console.print(
            f"after training, sorted by stars + {found.popularity:g} ln(1 + number of raters) "
            "(metrics.popularity)",
            style="dim",
        )


def _side_by_side(console: Console, *lists: tuple[str, list[Shown]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, _ in lists:
        table.add_column(name, max_width=48, overflow="ellipsis", no_wrap=True)
    for row in itertools.zip_longest(*(shown for _, shown in lists)):
        table.add_row(*("" if one is None else _stars(one) for one in row))
    console.print(table)


def _stars(shown: Shown) -> str:
    mark = "" if shown.held_out is None else f"[bold green] ★ {shown.held_out:g}[/]"
    return f"{shown.stars:4.2f}{mark} {escaped(shown.title)}"
