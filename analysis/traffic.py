"""Bytes per user and round, up and down: over a swept key of a study, or a bar per run.

python analysis/traffic.py STUDY... [--over KEY] [-o FILE]
python analysis/traffic.py RUN... [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_any, read_study
from fedmf_ray.report.traffic import COLUMNS, traffic, traffic_of_runs


@script(__doc__)
@click.argument("paths", metavar="RUN_OR_STUDY...", nargs=-1, required=True)
@click.option("--over", help="Swept key for the x axis; the first one with several numbers if not given.")
@output("traffic.png")
def main(paths: Sequence[str], over: str | None, output: Path) -> None:
    if (Path(paths[0]) / "scenario.yaml").exists():
        if over:
            raise FedMFError(f"--over {over}: {paths[0]} is a run, which swept nothing")
        click.echo(save(traffic_of_runs(read_any(paths, COLUMNS)), output))
    else:
        click.echo(save(traffic(read_study(*paths, columns=COLUMNS), over), output))


if __name__ == "__main__":
    main()
