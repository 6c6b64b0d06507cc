"""What a round costs as a Markdown table: a row per cell of a study, means over rounds.

python analysis/table.py STUDY...
"""

from __future__ import annotations

from collections.abc import Sequence

import click
from _fedmf_script import script

from fedmf_ray.report.runs import read_study
from fedmf_ray.report.table import COLUMNS, cost_table, markdown


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
def main(studies: Sequence[str]) -> None:
    click.echo(markdown(cost_table(read_study(*studies, columns=COLUMNS))))


if __name__ == "__main__":
    main()
