"""What each step of trust costs: seconds and bytes of a round, a bar for each protection of a study.

python analysis/ladder.py STUDY... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.figures import save
from fedmf_ray.report.ladder import COLUMNS, ladder
from fedmf_ray.report.runs import read_study


@script(__doc__)
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True)
@output("ladder.png")
def main(studies: Sequence[str], output: Path) -> None:
    click.echo(save(ladder(read_study(*studies, columns=COLUMNS)), output))


if __name__ == "__main__":
    main()
