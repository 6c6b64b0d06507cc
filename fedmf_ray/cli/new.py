"""The command that looks at somebody's ratings and writes a scenario for them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table as Shown

from fedmf_ray.cli import console
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    from fedmf_ray.ratings.inspecting import Inspected, Table


@click.command()
@click.argument("ratings", metavar="RATINGS", type=click.Path(path_type=Path))
@click.option("--titles", type=click.Path(path_type=Path), metavar="FILE",
              help="A file with the titles of items.")  # fmt: skip
@click.option("--test", type=click.Path(path_type=Path), metavar="FILE",
              help="Ratings that somebody else held out, with the same columns.")  # fmt: skip
@click.option("--user", metavar="COLUMN", help="The column of users, if its name does not say so.")
@click.option("--item", metavar="COLUMN", help="The same of items.")
@click.option("--rating", metavar="COLUMN", help="The same of ratings.")
@click.option("--timestamp", metavar="COLUMN", help="The same of times.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Where the scenario goes, instead of RATINGS.yaml in this folder.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a scenario that is there.")
def new(
    ratings: Path,
    titles: Path | None,
    test: Path | None,
    output: Path | None,
    force: bool,
    **columns: str | None,
) -> None:
    """Look at a file of ratings and write a scenario that trains on it.

    RATINGS is a text or Parquet file with a rating in each line, or the folder of a MovieLens data set.
    """
    from fedmf_ray.files import write
    from fedmf_ray.planning.plan import Plan
    from fedmf_ray.ratings.inspecting import inspect, titles_table
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.scenario.drafted import drafted

    stem = (ratings.resolve().name if ratings.is_dir() else ratings.name.partition(".")[0]) or "ratings"
    output = output or Path(f"{stem}.yaml")
    if output.exists() and not force:
        raise FedMFError(f"{output}: is there already: --force replaces it, -o FILE writes another")
    with console.stderr.status("reading"):
        seen = inspect(ratings, {role: name for role, name in columns.items() if name})
        named = titles_table(seen.table.path, titles, seen.table.columns["item"])
    _show(seen, named)
    before = output.read_text(encoding="utf-8") if output.exists() else None
    write(output, drafted(seen, named, test, output.parent))
    try:  # what is written works, or is not there
        with console.stderr.status("checking the scenario"):
            plan = Plan.of(scenario_file.load(output))
    except FedMFError:
        if before is None:
            output.unlink()
        else:
            write(output, before)
        raise
    for note in plan.population.notes:
        if note not in seen.ratings.notes:
            console.note(note)
    _next(output, seen.some_user)


def _show(seen: Inspected, titles: Table | None) -> None:
    ratings, names = seen.ratings, seen.ratings.names
    kinds = [f"{len(ratings.values):,} ratings", f"{seen.users:,} users ({_kind(names.users)})"]
    kinds.append(f"{seen.items:,} items ({_kind(names.items)})")
    density = len(ratings.values) / (seen.users * seen.items)
    table = Shown(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for title, line in (
        ("file", str(seen.table.path)),
        ("columns", ", ".join(f"{role}: {name}" for role, name in seen.table.columns.items())),
        ("holds", f"{', '.join(kinds)}; {density:.2%} of all pairs; no pair twice"),
        ("scale", f"{seen.scale}, mean {ratings.values.mean():.2f}"),
        (
            "times",
            "yes: they order each user's ratings" if seen.timed else "none: the order of the file counts",
        ),
        ("titles", "none (--titles FILE)" if titles is None else str(titles.path)),
    ):
        table.add_row(title, console.escaped(line))
    console.stderr.print(table)
    for note in ratings.notes:
        console.note(note)


def _kind(texts: object) -> str:
    return "ids are text" if texts else "ids are numbers"


def _next(output: Path, user: str) -> None:
    scenario = shlex.quote(os.fspath(output))
    for at, (command, why) in enumerate(
        (
            (f"fedmf-ray run {scenario} protocol.scheme=plain", "the model at once, without protection"),
            (f"fedmf-ray run {scenario}", "the same model, under encryption"),
            (f"fedmf-ray recommend RUN --user {shlex.quote(user)}", "a list for one user; run prints RUN"),
            (
                f"fedmf-ray run {scenario} model.rule=item_item stop.rounds=2 metrics.top_k=10",
                "for lists rather than ratings, and how good they are",
            ),
            (f"fedmf-ray estimate {scenario}", "what encryption will cost"),
        )
    ):
        line = f"[bold]{'' if at else 'next':8}[/]{console.escaped(f'{command:60}')} [dim]# {why}[/]"
        console.stderr.print(line, soft_wrap=True)
    click.echo(output)
