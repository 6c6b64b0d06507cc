"""Where the time goes: the parts of the slowest user's round and the server, a bar per run or cell.

python analysis/breakdown.py RUN_OR_STUDY... [--seconds] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.breakdown import COLUMNS, breakdown
from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_any


@script(__doc__)
@click.argument("paths", nargs=-1, required=True)
@click.option("--seconds", is_flag=True, help="Absolute lengths instead of shares.")
@output("breakdown.png")
def main(paths: Sequence[str], seconds: bool, output: Path) -> None:
    click.echo(save(breakdown(read_any(paths, COLUMNS), seconds), output))


if __name__ == "__main__":
    main()
