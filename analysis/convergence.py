"""Loss over rounds, any number of runs on one axis.

python analysis/convergence.py RUN... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_runs


@script(__doc__)
@click.argument("runs", nargs=-1, required=True)
@output("convergence.png")
@click.option("--title", help="Shown above the picture.")
def main(runs: Sequence[str], output: Path, title: str | None) -> None:
    click.echo(save(convergence(read_runs(runs), title), output))


if __name__ == "__main__":
    main()
