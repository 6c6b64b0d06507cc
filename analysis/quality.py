"""What quality costs: test RMSE over rounds, over protocol seconds and over bytes, one line per setting.

python analysis/quality.py STUDY... [--by model.rule,model.factors] [--to 0.86] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.figures import save
from fedmf_ray.report.quality import COLUMNS, courses, quality, reaching
from fedmf_ray.report.runs import read_study
from fedmf_ray.report.table import markdown


@script(__doc__)
@click.argument("studies", nargs=-1, required=True)
@click.option("--by", default="", help="Swept keys that name the lines, with commas between.")
@click.option("--to", "target", type=float, help="Also print what it took to come to this RMSE.")
@output("quality.png")
def main(studies: Sequence[str], by: str, target: float | None, output: Path) -> None:
    found = courses(read_study(*studies, columns=COLUMNS), [key for key in by.split(",") if key])
    if target is not None:
        click.echo(markdown(reaching(found, target)))
    click.echo(save(quality(found), output))


if __name__ == "__main__":
    main()
