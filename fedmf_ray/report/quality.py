"""What quality costs: test RMSE over rounds, over protocol seconds and over bytes, a line a setting.

python analysis/quality.py STUDY... [--by model.rule,model.factors] [--to 0.86] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    PAGE_INCHES,
    drawing,
    legend_below,
    new_figure,
    save,
    series_styles,
    styled,
)
from fedmf_ray.report.runs import need, read_study, swept_keys
from fedmf_ray.report.series import describe, varied, with_basis
from fedmf_ray.report.table import markdown

COLUMNS = ("test_rmse", "protocol_s", "upload_bytes_total", "download_bytes_total", "users")

WIDTH = {"linewidth": 1.5}


class Course(NamedTuple):
    """One setting: its name, the basis of its costs, and a row a round with what has been spent by then."""

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
    bases = "/".join(dict.fromkeys(course.basis for course in found))
    titles = {
        "rounds": "test RMSE over rounds",
        "protocol_s": f"protocol seconds ({bases})",
        "user_mb": "MB a user, both ways",
    }
    best = min(float(course.spent["test_rmse"].min()) for course in found)
    for axis, (column, name) in zip(axes, titles.items(), strict=True):
        for course, look in zip(found, series_styles(len(found)), strict=True):
            # Curves cross here, they do not coincide: one width for all.
            axis.plot(course.spent[column], course.spent["test_rmse"], label=course.label, **look | WIDTH)
        axis.set_xscale("log")
        axis.set_ylim(best - 0.005, best + 0.1)
        axis.set_title(name)
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
            row |= {"MB a user": f"{first['user_mb']:.3g}"}
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


@click.command(help=__doc__.splitlines()[0])
@click.argument("studies", nargs=-1, required=True)
@click.option("--by", default="", help="Swept keys that name the lines, with commas between.")
@click.option("--to", "target", type=float, help="Also print what it took to come to this RMSE.")
@click.option("-o", "--output", type=Path, default=Path("quality.png"), show_default=True)
@drawing
def main(studies: Sequence[str], by: str, target: float | None, output: Path) -> None:
    found = courses(read_study(*studies, columns=COLUMNS), [key for key in by.split(",") if key])
    if target is not None:
        click.echo(markdown(reaching(found, target)))
    click.echo(save(quality(found), output))
