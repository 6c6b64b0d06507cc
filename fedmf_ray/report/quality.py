"""What quality costs: test RMSE over rounds, over protocol seconds and over bytes, one line per setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    PAGE_INCHES,
    legend_below,
    new_figure,
    series_styles,
    styled,
)
from fedmf_ray.report.names import describe
from fedmf_ray.report.runs import need, swept_keys, with_basis
from fedmf_ray.report.series import plain_ticks, title, varied

COLUMNS = ("test_rmse", "protocol_s", "upload_bytes_total", "download_bytes_total", "users")

WIDTH = {"linewidth": 1.5}


class Course(NamedTuple):
    """One setting: its name, the basis of its costs, and a row per round with what was spent by then."""

    label: str
    basis: str
    spent: pd.DataFrame


def courses(table: pd.DataFrame, by: Sequence[str] = ()) -> list[Course]:
    """What each cell of a study had spent after each round: ``rounds``, ``test_rmse``, ``protocol_s`` and
    ``user_mb`` (a user's, both ways).

    by: the swept keys that name a cell; all that vary if none is given.
    """
    need(table, COLUMNS)
    if missing := set(by) - set(swept_keys(table)):
        raise FedMFError(f"--by {missing.pop()}: the study swept {', '.join(swept_keys(table))}")
    table = with_basis(table.dropna(subset=list(COLUMNS)))
    if table.empty:
        raise FedMFError("no row has a test error and costs")
    found = []
    for _, rows in table.groupby("cell", sort=False):
        first = rows.iloc[0]
        if rows["basis"].nunique() > 1:
            kinds = " and ".join(rows["basis"].unique())
            raise FedMFError(f"cell {first['cell']} has {kinds} rounds: their sums would be neither")
        label = describe({key: first[key] for key in (by or varied(table))}, str(first["basis"]))
        carried = rows["upload_bytes_total"] + rows["download_bytes_total"]
        spent = pd.DataFrame(
            {
                "rounds": rows["round"] + 1,
                "test_rmse": rows["test_rmse"],
                "protocol_s": rows["protocol_s"].cumsum(),
                "user_mb": (carried / rows["users"] / 1e6).cumsum(),
            }
        )
        found.append(Course(label, str(first["basis"]), spent))
    return found


@styled
def quality(found: Sequence[Course], width: float = PAGE_INCHES) -> Figure:
    """Three panels with one scale of errors; the axes of costs are logarithmic."""
    figure, axes = new_figure(width=width, height=3.0, panels=3)
    bases = [course.basis for course in found]
    panels = {
        "rounds": ("over rounds", "rounds completed"),
        "protocol_s": (title("over seconds", "derived", bases), "protocol seconds"),
        "user_mb": (title("over MB", "counted", bases), "MB per user, up and down"),
    }
    # Curves cross here, they do not coincide: one width for all. Cells of one name have one look.
    names = list(dict.fromkeys(course.label for course in found))
    looks = {name: look | WIDTH for name, look in zip(names, series_styles(len(names)), strict=True)}
    best = min(float(course.spent["test_rmse"].min()) for course in found)
    for axis, (column, (heading, unit)) in zip(axes, panels.items(), strict=True):
        named: set[str] = set()
        for course in found:
            label = f"_{course.label}" if course.label in named else course.label
            axis.plot(course.spent[column], course.spent["test_rmse"], label=label, **looks[course.label])
            named.add(course.label)
        axis.set_xscale("log")
        plain_ticks(axis.xaxis, most=5)
        axis.set_ylim(best - 0.005, best + 0.1)
        axis.set_title(heading)
        axis.set_xlabel(unit)
    axes[0].set_ylabel("test RMSE (stars)")
    legend_below(figure, axes[0])
    return figure


def reaching(found: Sequence[Course], target: float) -> pd.DataFrame:
    """What each setting had spent when its error was first at most the target (nothing if it never was)."""
    rows = []
    for course in found:
        there = course.spent[course.spent["test_rmse"] <= target]
        row = {"setting": course.label, "best": f"{course.spent['test_rmse'].min():.4f}"}
        if len(there):
            first = there.iloc[0]
            row |= {"rounds": f"{first['rounds']:.0f}", "protocol s": f"{first['protocol_s']:.3g}"}
            row |= {"MB per user": f"{first['user_mb']:.3g}"}
        rows.append(row)
    return pd.DataFrame(rows).fillna("")
