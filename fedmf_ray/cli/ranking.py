"""The settings of a study by test error, as a table at the end of a sweep."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from fedmf_ray.cli.console import escaped, stderr
from fedmf_ray.errors import FedMFError

_MOST = 20
"""Rows that are shown; the page of the study has all."""


def show_ranking(folder: Path) -> None:
    """The best settings first, over folds and seeds as mean and deviation, and the best one in a line.

    Nothing is shown where no cell is complete, or nothing was held out.
    """
    from fedmf_ray.report.ranking import best, ranked
    from fedmf_ray.report.runs import read_study_folder

    study = read_study_folder(folder)
    if not len(study.ended):
        return
    try:
        ranking = ranked(study.ended)
    except FedMFError as error:
        stderr.print(escaped(error), soft_wrap=True)
        return
    several = ranking["cells"].max() > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, side in (("", "right"), ("setting", "left"), ("test RMSE", "right"), ("rounds", "right")):
        table.add_column(name, justify=side, no_wrap=side == "right")  # type: ignore[arg-type]
    if several:
        table.add_column("cells", justify="right")
    for row in ranking.head(_MOST).to_dict("records"):
        spread = row["test_rmse_sd"]
        rmse = f"{row['test_rmse']:.4f}" + (f" ± {spread:.4f}" if spread == spread else "")
        cells = [str(row["cells"])] if several else []
        table.add_row(str(row["rank"]), escaped(row["setting"]), rmse, f"{row['rounds']:g}", *cells)
    stderr.print(table)
    if len(ranking) > _MOST:
        stderr.print(f"and {len(ranking) - _MOST} more: fedmf-ray report lists all")
    if len(ranking) > 1:
        stderr.print(f"[bold]best[/] {escaped(best(ranking))}", soft_wrap=True)
