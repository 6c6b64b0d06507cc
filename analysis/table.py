"""What a round costs as a table (Markdown, CSV, LaTeX): a row per cell of a study, means over rounds.

python analysis/table.py STUDY... [-o FILE.csv|FILE.md|FILE.tex]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import script

from fedmf_ray.report.runs import read_study
from fedmf_ray.report.table import COLUMNS, cost_table, markdown, written


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
@click.option("-o", "--output", type=Path, help="Write FILE.csv, FILE.md or FILE.tex instead of printing.")
def main(studies: Sequence[str], output: Path | None) -> None:
    found = cost_table(read_study(*studies, columns=COLUMNS))
    click.echo(markdown(found) if output is None else written(found, output))


if __name__ == "__main__":
    main()
