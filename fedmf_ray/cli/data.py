"""The commands about MovieLens data sets: fetch one, and list them."""

from __future__ import annotations

import click

from fedmf_ray.cli.console import stderr


@click.group()
def data() -> None:
    """Fetch MovieLens data sets, or list them."""


@data.command()
@click.argument("name")
@click.option("--mirror", metavar="URL", help="Another place to download from: a URL, or a folder.")
def fetch(name: str, mirror: str | None) -> None:
    """Download a MovieLens data set into the cache."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True) as bars:
        task = bars.add_task(name, total=None)
        options = {"base_url": mirror} if mirror else {}
        folder = downloads.fetch(
            name,
            cache_folder(),
            progress=lambda done, total: bars.update(task, completed=done, total=total),
            **options,
        )
    click.echo(folder)


@data.command("list")
def list_() -> None:
    """List the data sets, and which of them are in the cache."""
    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    cache = cache_folder()
    click.echo(f"cache: {cache}")
    for name, ratings in downloads.available().items():
        here = "here" if downloads.is_here(name, cache) else f"not here (fedmf-ray data fetch {name})"
        click.echo(f"{name:16} {ratings:>11,} ratings  {here}")
