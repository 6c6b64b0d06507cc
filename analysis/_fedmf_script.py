"""What the scripts of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from fedmf_ray.errors import FedMFError

P = ParamSpec("P")


def script(text: str | None) -> Callable[[Callable[P, None]], click.Command]:
    """Make a function a command; its help is the first line of a text, and an error of ours is one line."""

    def command(draw: Callable[P, None]) -> click.Command:
        @wraps(draw)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                draw(*args, **kwargs)
            except FedMFError as error:
                raise click.ClickException(str(error)) from None

        return click.command(help=(text or "").partition("\n")[0])(guarded)

    return command


def output(name: str) -> Callable[[Any], Any]:
    """The option for where a picture goes."""
    return click.option("-o", "--output", type=Path, default=Path(name), show_default=True)
