"""The two streams of the command line: results go to :data:`out`, progress and remarks to :data:`stderr`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

stderr = Console(stderr=True, highlight=False, emoji=False)

out = Console(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def escaped(message: object) -> str:
    """A message as text: without this, rich would take ``[words]`` in brackets for markup and drop them."""
    return escape(str(message))


def note(message: object) -> None:
    """A remark that changes nothing about the run, on one line."""
    stderr.print(f"[yellow]note:[/] {escaped(message)}", soft_wrap=True)


def warn(message: object) -> None:
    """Something that a person should change, on one line."""
    stderr.print(f"[yellow]warning:[/] {escaped(message)}", soft_wrap=True)


def error(message: object) -> None:
    """The reason why a command ends with an exit code other than 0, on one line."""
    stderr.print(f"[red]error:[/] {escaped(message)}", soft_wrap=True)
