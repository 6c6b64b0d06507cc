"""The commands about MovieLens: fetch and list data sets, and show what a run would recommend."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from fedmf_ray.cli.screens import out, plain, stderr

if TYPE_CHECKING:
    from fedmf_ray.engine.recommend import Recommendations, Shown


@click.group()
def data() -> None:
    """Fetch MovieLens data sets, or list them."""


@data.command()
@click.argument("name")
@click.option("--mirror", metavar="URL", help="Another place to download from: a URL, or a folder.")
def fetch(name: str, mirror: str | None) -> None:
    """Download a MovieLens data set into the cache."""
    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bars(*columns, console=stderr, transient=True) as bars:
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
    """List the data sets and whether they are here."""
    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    cache = cache_folder()
    click.echo(f"cache: {cache}")
    for name, ratings in downloads.available().items():
        here = "here" if downloads.is_here(name, cache) else f"not here (fedmf-ray data fetch {name})"
        click.echo(f"{name:16} {ratings:>11,} ratings  {here}")


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--user", "user_id", type=int, required=True, metavar="ID", help="As in the data set.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, show_default=True, help="Titles.")
def recommend(folder: Path, user_id: int, count: int) -> None:
    """Show the titles that a user of a run would be shown, before training and after it.

    Reads the checkpoint on the users' side (cluster.checkpoint_folder), not the run folder: a server or an
    experimenter could not do this.
    """
    from fedmf_ray.engine.recommend import recommend as recommend_to

    _show(recommend_to(folder, user_id, count))


def _show(found: Recommendations) -> None:
    """Three lists side by side: what the user likes, what it would be shown before and after training."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    after = f"after {found.rounds} rounds"
    for name in (f"user {found.user_id} rated highest", "shown before training", after):
        table.add_column(name, max_width=48, overflow="ellipsis", no_wrap=True)
    for liked, before, now in itertools.zip_longest(found.liked, found.before, found.after):
        table.add_row(*("" if one is None else _stars(one) for one in (liked, before, now)))
    out.print(table)
    if any(one.held_out is not None for one in (*found.before, *found.after)):
        out.print("★ rated by this user, and held out from training", style="dim")
    if found.popularity:
        out.print(
            f"after training, sorted by stars + {found.popularity:g} ln(1 + number of raters) "
            "(metrics.popularity)",
            style="dim",
        )


def _stars(shown: Shown) -> str:
    mark = "" if shown.held_out is None else f"[bold green] ★ {shown.held_out:g}[/]"
    return f"{shown.stars:4.2f}{mark} {plain(shown.title)}"
