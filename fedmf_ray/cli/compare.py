"""The command that puts runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from fedmf_ray.cli.console import escaped, out, stderr


@click.command()
@click.argument("paths", metavar="RUN RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Also write the table, as .csv, .md or .tex.")  # fmt: skip
def compare(paths: tuple[Path, ...], output: Path | None) -> None:
    """Show runs side by side: settings that differ, quality, protection, cost.

    Says whether their losses are the same to the last bit.
    """
    from fedmf_ray.report.comparing import compared, same_losses
    from fedmf_ray.report.runs import read_run
    from fedmf_ray.report.table import written

    runs = [read_run(path) for path in paths]
    table = compared(runs)
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("", "", *table.columns[2:]):
        shown.add_column(escaped(name), overflow="fold")
    before = ""
    for part, what, *values in table.itertuples(index=False):
        if before and part != before:
            shown.add_row()
        shown.add_row("" if part == before else f"[bold]{part}[/]", escaped(what), *map(_cell, values))
        before = part
    out.print(shown)
    stderr.print(same_losses(runs), soft_wrap=True)
    if output:
        click.echo(written(table, output))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:,.4g}"
    return "" if value is None else escaped(value)
