"""Strong and weak scaling over workers, with the ideal line.

python analysis/scaling.py STUDY... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_study
from fedmf_ray.report.scaling import COLUMNS, scaling


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
@output("scaling.png")
def main(studies: Sequence[str], output: Path) -> None:
    click.echo(save(scaling(read_study(*studies, columns=COLUMNS)), output))


if __name__ == "__main__":
    main()
