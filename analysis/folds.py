"""Test errors as means and standard deviations over folds: a row per setting, as Markdown or a file.

python analysis/folds.py STUDY... [--after 2,10,25] [--column test_rmse] [-o FILE.csv|FILE.md|FILE.tex]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import script

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.folds import COLUMNS, over_folds, with_spread
from fedmf_ray.report.runs import read_study
from fedmf_ray.report.table import markdown, written


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
@click.option("--after", default="", help="Numbers of rounds, such as 2,10,25; the last round if not given.")
@click.option("--column", "columns", multiple=True, default=COLUMNS, show_default=True)
@click.option("-o", "--output", type=Path, help="Write FILE.csv, FILE.md or FILE.tex instead of printing.")
def main(studies: Sequence[str], after: str, columns: Sequence[str], output: Path | None) -> None:
    try:
        rounds = [int(word) for word in after.split(",") if word]
    except ValueError:
        raise FedMFError(f"--after {after}: must be whole numbers with commas between") from None
    table = over_folds(read_study(*studies, columns=["test_rmse", *columns]), rounds, columns)
    found = with_spread(table, columns)
    click.echo(markdown(found) if output is None else written(found, output))


if __name__ == "__main__":
    main()
