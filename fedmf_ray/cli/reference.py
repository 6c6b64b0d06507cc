"""The commands that say what there is: packaged scenarios, and the keys of a scenario."""

from __future__ import annotations

import re
from difflib import get_close_matches

import click

from fedmf_ray.cli.console import escaped, out
from fedmf_ray.errors import FedMFError


@click.command()
@click.argument("name", required=False)
def scenarios(name: str | None) -> None:
    """List the scenarios that come with fedmf-ray, or print the path of one.

    `fedmf-ray run NAME` runs one from any folder. To change more of it than a few keys, copy the file.
    """
    from rich.table import Table

    from fedmf_ray.scenario.packaged import folder, packaged

    known = {one.name: one for one in packaged()}
    if name is not None:
        if name not in known:
            near = get_close_matches(name, list(known), n=1)
            hint = f" (did you mean {near[0]}?)" if near else ": `fedmf-ray scenarios` lists them"
            raise FedMFError(f"{name}: no such packaged scenario{hint}")
        click.echo(known[name].path)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("name", "command", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for one in known.values():
        table.add_row(one.name, _command(one.name, one.study), escaped(one.description))
    out.print(table)
    out.print(escaped(f"files: {folder().resolve()}"), style="dim")


@click.command("keys")
@click.argument("word", required=False)
def keys_(word: str | None) -> None:
    """Show the keys of a scenario: type, default and meaning.

    WORD limits them to those that contain it, for example protocol or bias.
    """
    from fedmf_ray.scenario.keys import keys

    chosen = [key for key in keys() if word is None or word.lower() in key.path.lower()]
    if not chosen:
        raise FedMFError(f"{word}: no key contains this: `fedmf-ray keys` shows all of them")
    for key in chosen:
        kind = "" if key.section else f"  {key.type}; {key.default_text}"
        out.print(f"[bold]{escaped(key.path)}[/]{escaped(kind)}")
        if key.meaning:
            out.print(click.wrap_text(_plain(key.meaning), 100, "    ", "    ", True), markup=False)


def _command(name: str, study: bool) -> str:
    if name.startswith("audit-"):
        return "audit"
    return "sweep" if study else "run"


def _plain(text: str) -> str:
    """Docstrings as text of a terminal: roles and code marks are for web pages."""
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?([^`]+)`", r"\1", text).replace("``", "")
