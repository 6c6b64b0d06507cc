"""One page about a run or a study: pictures, tables, the scenario, the machine. Opens without network.

python analysis/report.py RUN_OR_STUDY [-o FILE]
"""

from __future__ import annotations

from pathlib import Path

import click
from _fedmf_script import script

from fedmf_ray.report.page import report


@script(__doc__)
@click.argument("path", metavar="RUN_OR_STUDY")
@click.option("-o", "--output", type=Path, help="Instead of report.html in the folder.")
def main(path: str, output: Path | None) -> None:
    click.echo(report(path, output))


if __name__ == "__main__":
    main()
