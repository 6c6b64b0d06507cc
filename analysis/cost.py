"""What a round costs over a swept key: seconds or bytes, one line per combination of the other keys.

python analysis/cost.py STUDY... [--over KEY] [--column protocol_s] [--published] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.cost import cost
from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_study


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
@click.option("--over", help="Swept key for the x axis; the first one with several numbers if not given.")
@click.option("--column", default="protocol_s", show_default=True, help="A column of rounds.csv.")
@click.option("--published", is_flag=True, help="Add the authors' published seconds (items only).")
@output("cost.png")
def main(studies: Sequence[str], over: str | None, column: str, published: bool, output: Path) -> None:
    click.echo(save(cost(read_study(*studies, columns=[column]), over, column, published), output))


if __name__ == "__main__":
    main()
