"""The command that removes keys, checkpoints and tables of ratings that no run needs."""

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
    """Remove keys, checkpoints and tables that no run folder names.

    Each belongs to a run folder, which is looked for where it was, and below --results. A run folder that was
    moved elsewhere, or to another machine, is not known: its checkpoints are listed, too, and so are the
    tables that it was given in Python. Nothing of a run that is going on is listed.
    """
    from fedmf_ray.storage.checkpoints import state_folder
    from fedmf_ray.storage.frames import abandoned_frames, remove_frame
    from fedmf_ray.storage.ownership import abandoned, remove

    results = results.expanduser().absolute()
    base = (checkpoints or state_folder() / "checkpoints").expanduser().absolute()
    states = list(abandoned(base, results))
    frames = [] if checkpoints else list(abandoned_frames(results))
    if not states and not frames:
        console.note(f"{base}: every key and checkpoint belongs to a run folder, and so does every table")
        return
    for path, size, reason in (
        *((state.folder, state.size, state.reason) for state in states),
        *((frame.file, frame.size, frame.reason) for frame in frames),
    ):
        click.echo(f"{path}  {size / 1e6:,.1f} MB  {reason}")
    console.note(f"run folders were looked for where they were made, and below {results}")
    if not yes:
        keys = ", with their keys" if states else ""
        click.confirm(f"Remove {len(states) + len(frames)} of them{keys}?", abort=True, err=True)
    for state in states:
        remove(state.folder)
        if state.folder.exists():
            console.warn(f"{state.folder}: cannot be removed, or holds what is no checkpoint")
    for frame in frames:
        remove_frame(frame.file)
        if frame.file.exists():
            console.warn(f"{frame.file}: cannot be removed")
