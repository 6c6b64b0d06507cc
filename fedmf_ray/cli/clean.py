"""The command that removes keys and checkpoints that no run needs."""

from __future__ import annotations

from pathlib import Path

import click

from fedmf_ray.cli import console


@click.command()
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
              help="Where run folders are looked for that have been moved.")  # fmt: skip
@click.option("--checkpoints", type=click.Path(path_type=Path), metavar="FOLDER",
              help="What was cluster.checkpoint_folder, instead of the usual folder.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Remove without asking.")
def clean(results: Path, checkpoints: Path | None, yes: bool) -> None:
    """Remove keys and checkpoints that no run folder names.

    Each belongs to a run folder, which is looked for where it was, and below --results. A run folder that was
    moved elsewhere, or to another machine, is not known: its checkpoints are listed, too. Nothing of a run
    that is going on is listed.
    """
    from fedmf_ray.storage.checkpoints import state_folder
    from fedmf_ray.storage.ownership import abandoned, remove

    base = (checkpoints or state_folder() / "checkpoints").expanduser().absolute()
    found = list(abandoned(base, results.expanduser().absolute()))
    if not found:
        console.note(f"{base}: every key and checkpoint belongs to a run folder")
        return
    for state in found:
        click.echo(f"{state.folder}  {state.size / 1e6:,.1f} MB  {state.reason}")
    console.note(f"run folders were looked for where they were made, and below {results}")
    if not yes:
        click.confirm(f"Remove {len(found)} of them, with their keys?", abort=True, err=True)
    for state in found:
        remove(state.folder)
        if state.folder.exists():
            console.warn(f"{state.folder}: cannot be removed, or holds what is no checkpoint")
