"""What an audit found: how much each attack recovers, or leak against cost along the sparsity dial.

python analysis/audit.py RUN_OR_STUDY [-o FILE]
"""

from __future__ import annotations

from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.report.audit import audit_picture, leak_and_cost
from fedmf_ray.report.figures import save
from fedmf_ray.report.runs import read_audit, read_study


@script(__doc__)
@click.argument("path", metavar="RUN_OR_STUDY")
@click.option("--dial", is_flag=True, help="Leak against cost along the sparsity dial.")
@output("audit.png")
def main(path: str, dial: bool, output: Path) -> None:
    findings = read_audit(path)
    figure = leak_and_cost(findings, read_study(path)) if dial else audit_picture(findings)
    click.echo(save(figure, output))


if __name__ == "__main__":
    main()
