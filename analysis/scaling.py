"""Strong and weak scaling over workers, with the ideal line.

python analysis/scaling.py STUDY... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import PAGE_INCHES, drawing, new_figure, save, series_styles, styled
from analysis.runs import read_study
from analysis.series import logarithmic, need
from fedmf_ray.errors import FedMFError


def strong(table: pd.DataFrame) -> pd.DataFrame:
    """Speed-up over workers of the same users: columns users, workers, wall_s, speedup."""
    means = _means(table)
    series = [rows for _, rows in means.groupby("users") if len(rows) > 1]
    return _joined([rows.assign(speedup=rows["wall_s"].iloc[0] / rows["wall_s"]) for rows in series])


def weak(table: pd.DataFrame) -> pd.DataFrame:
    """Wall seconds over workers with the same users each: columns a_worker, workers, wall_s."""
    means = _means(table)
    means["a_worker"] = means["users"] / means["workers"]
    return _joined([rows for _, rows in means.groupby("a_worker") if len(rows) > 1])


def _means(table: pd.DataFrame) -> pd.DataFrame:
    need(table, ["users", "user_actors", "wall_s"], "the study")
    means = table.groupby(["users", "user_actors"])["wall_s"].mean().reset_index()
    means.columns = pd.Index(["users", "workers", "wall_s"])
    return means.sort_values("workers")


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@styled
def scaling(table: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """Strong scaling: speed-up against the fewest workers. Weak scaling: wall seconds a round.

    Workers are user actors. A panel without two points is left out.
    """
    fast, level = strong(table), weak(table)
    panels = [part for part in (fast, level) if len(part)]
    if not panels:
        raise FedMFError("the study has no two cells with the same users, or users a worker, to compare")
    figure, axes = new_figure(width=width, height=2.9, panels=len(panels))
    for axis, part in zip(axes, panels, strict=True):
        group, column = ("users", "speedup") if part is fast else ("a_worker", "wall_s")
        groups = list(part.groupby(group))
        for (name, rows), style in zip(groups, series_styles(len(groups)), strict=True):
            label = f"{name:g} users" if part is fast else f"{name:g} users a worker"
            axis.plot(rows["workers"], rows[column], label=label, marker="o", markersize=3.5, **style)
        workers = sorted(part["workers"].unique())
        if part is fast:
            fewest = part.groupby("users")["workers"].min().min()
            ideal = [count / fewest for count in workers]
        else:
            ideal = [rows["wall_s"].iloc[0] for _, rows in groups[:1]] * len(workers)
        axis.plot(workers, ideal, color="black", linewidth=0.8, linestyle=(0, (2, 2)), label="ideal")
        if max(workers) >= 8 * min(workers):
            logarithmic(axis, workers, both=part is fast)
        else:
            axis.set_xticks(workers)
        if part is level:
            axis.set_ylim(bottom=0)
        axis.set_xlabel("workers (user actors)")
        axis.set_title("speed-up of a round (wall)" if part is fast else "seconds a round (wall)")
        axis.legend()
    return figure


@click.command(help=__doc__.splitlines()[0])
@click.argument("studies", nargs=-1, required=True)
@click.option("-o", "--output", type=Path, default=Path("scaling.png"), show_default=True)
@drawing
def main(studies: Sequence[str], output: Path) -> None:
    click.echo(save(scaling(read_study(*studies)), output))


if __name__ == "__main__":
    main()
