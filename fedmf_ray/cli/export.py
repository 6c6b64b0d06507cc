"""The command that writes what a run's users know into files."""

from __future__ import annotations

from pathlib import Path

import click

from fedmf_ray.cli import console


@click.command()
@click.argument("path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path), metavar="FOLDER",
              help="A folder that is not there yet; it is written whole or not at all.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True,
              help="How files are written; parquet needs pyarrow.")  # fmt: skip
def export(path: Path, folder: Path, form: str) -> None:
    """Write items, users' vectors and predictions of the test set.

    Reads the checkpoint on the users' side (cluster.checkpoint_folder), not the run folder: neither a server
    nor an experimenter could do this. The files are for their owner alone (mode 0600).
    """
    from fedmf_ray.api.exported import PRIVATE
    from fedmf_ray.api.exported import export as export_run
    from fedmf_ray.api.runs import Run

    run = Run(path)
    with console.stderr.status("reading the users' side"):
        written = export_run(run, folder, form)
    console.note(f"{PRIVATE}: do not publish {written}")
    click.echo(written)
