"""The reference pages, made from the code: keys, files, commands, Python, plug-ins (``PAGES``)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

import fedmf_ray
from fedmf_ray.cli.main import cli
from fedmf_ray.learning.ranking import MEASURES
from fedmf_ray.learning.rules import RULES
from fedmf_ray.privacy import adversaries
from fedmf_ray.scenario.keys import keys
from fedmf_ray.scenario.packaged import packaged
from fedmf_ray.scenario.sources import SOURCES
from fedmf_ray.schemes import SCHEMES
from fedmf_ray.storage.contents import FILES

_KEYS = """\
# Scenario keys

A scenario is a YAML file. This page has every key with its type, its default and its meaning.
`fedmf-ray keys WORD` prints the same in a terminal. Words on a command line override keys:
`fedmf-ray run FILE protocol.key_bits=2048`. In Python, a dict does it:
`fedmf_ray.run(FILE, {"protocol.key_bits": 2048})`. Unknown keys are errors.
"""

_SWEEP = """
## sweep

A scenario with this section is a *study*: `fedmf-ray sweep` runs it. See
[how to run studies](../how-to/studies.md).

`sweep.KEY` { #sweep.KEY }
:   *list of values*

    Every dotted key of this page may be swept. The study runs every combination of the values of all keys.

`sweep.zip` { #sweep.zip }
:   *keys and lists of equal length*

    These go together: the first values of all of them, then the second values, and so on.
"""

_FILES = """\
# Files and columns

What a run and a study write, column by column. *Measured*, *charged*, *estimated* and *derived* are four
different things, and each is named: see the [glossary](glossary.md). Times are in seconds, sizes in bytes.
"""

_COMMANDS = """\
# Commands

`python -m fedmf_ray` is the same as `fedmf-ray`. `fedmf-ray --debug COMMAND ...` shows the traceback of an
error.

Exit codes: 0 success; 1 a run that diverged, a study with incomplete cells, or a failed check of `doctor`;
2 bad input; 130 Ctrl-C; 143 SIGTERM. `submit` and `follow` end with the exit code of their job.
"""

_PYTHON = """\
# Python

`import fedmf_ray` gives these names. Every error that a caller can put right is a `FedMFError` with one line.
[The tutorial](../tutorial.md) shows them at work.
"""

_PLUG_INS = """\
# Schemes, rules, sources, measures

What a scenario can name, and the groups of entry points under which an installed package adds more.
[How to write a plug-in](../how-to/plug-ins.md) has a whole example.
"""

_CONTRACTS = (
    ("fedmf_ray.schemes.base", "Scheme"),
    ("fedmf_ray.learning.rules.base", "Rule"),
    ("fedmf_ray.scenario.sources", "TableSource"),
)


def keys_page() -> str:
    """Every scenario key; a heading per section."""
    lines = [_KEYS]
    lines.append("\n## Top level\n")
    top, rest = [], []
    for key in keys():
        deep = key.section or "." in key.path
        (rest if deep else top).append(key)
    used: set[str] = set()
    for key in (*top, *rest):
        text = markdown(key.meaning)
        if key.section:
            depth = "##" if "." not in key.path and "(" not in key.path else "###"
            lines.append(f"\n{depth} {key.path}\n\n{text}\n")
        else:
            where = f" {{ #{key.path} }}" if key.path not in used else ""
            used.add(key.path)
            lines.append(f"`{key.path}`{where}\n:   *{key.type}; {key.default_text}*\n\n    {text}\n")
    return "\n".join(lines) + _SWEEP


def files_page() -> str:
    """Every column and key of every file."""
    lines = [_FILES]
    for file in FILES:
        lines.append(f"\n## {file.name}\n\n{file.what}\n")
        lines += [f"`{column}`\n:   {meaning}\n" for column, meaning in file.holds.items()]
    return "\n".join(lines)


def commands_page() -> str:
    """Every command with its arguments and options."""
    lines = [_COMMANDS]
    for path, command in _commands(cli, "fedmf-ray"):
        with click.Context(command, info_name=path) as context:
            usage = " ".join([path, *command.collect_usage_pieces(context)])
            lines.append(
                f"\n## {path}\n\n```text\n{usage}\n```\n\n{markdown(inspect.cleandoc(command.help or ''))}\n"
            )
            for option in command.params:
                record = option.get_help_record(context)
                if record and record[1] and record[0] != "--help":
                    lines.append(f"`{record[0]}`\n:   {record[1]}\n")
    return "\n".join(lines)


def python_page() -> str:
    """The public names of the package, for mkdocstrings to fill in."""
    found = [(name, getattr(fedmf_ray, name)) for name in fedmf_ray.__all__ if not name.startswith("_")]
    lines = [_PYTHON]
    for title, wanted in _KINDS.items():
        chosen = [(name, thing) for name, thing in found if wanted(thing)]
        lines += [f"\n## {title}\n"] if chosen else []
        for name, thing in chosen:
            lines.append(_documented(f"{thing.__module__}.{thing.__qualname__}", f"fedmf_ray.{name}"))
    return "\n".join(lines)


def plug_ins_page() -> str:
    """What the registries hold, and the classes to derive from."""
    lines = [_PLUG_INS]
    for title, registry, key in (
        ("Schemes", SCHEMES, "protocol.scheme"),
        ("Update rules", RULES, "model.rule"),
        ("Sources of ratings", SOURCES, "ratings.source"),
        ("Measures of lists", MEASURES, "metrics.measures"),
    ):
        lines.append(f"\n## {title}\n\nKey: `{key}`. Entry points: `{registry.group}`.\n")
        for name in registry.names():
            text = markdown(inspect.cleandoc(registry.get(name).__doc__ or ""))
            lines.append(f"`{name}`\n:   {_indented(text)}\n")
    lines.append("\n## Adversaries\n\nWhat `fedmf-ray audit` plays, by what was observed.\n")
    text = inspect.cleandoc(adversaries.__doc__ or "")
    lines.append(f"{markdown(text)}\n\n## Packaged scenarios\n\n`fedmf-ray scenarios` lists them, too.\n")
    for one in packaged():
        lines.append(f"`{one.name}`\n:   {one.description}\n")
    lines.append("\n## Classes to derive from\n")
    lines += [_documented(f"{module}.{name}", f"{module}.{name}") for module, name in _CONTRACTS]
    return "\n".join(lines)


def _documented(path: str, heading: str) -> str:
    """What mkdocstrings is asked for."""
    return (
        f"\n::: {path}\n    options:\n      heading: {heading}\n      heading_level: 3\n"
        f"      show_root_heading: true\n      show_root_toc_entry: true\n"
    )


def _is_error(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "Functions": inspect.isfunction,
    "Classes": lambda thing: isinstance(thing, type) and not _is_error(thing),
    "Errors": _is_error,
}

PAGES: dict[str, Callable[[], str]] = {
    "reference/keys.md": keys_page,
    "reference/files.md": files_page,
    "reference/commands.md": commands_page,
    "reference/python.md": python_page,
    "reference/plug-ins.md": plug_ins_page,
}
"""The page by its place in the documentation."""


def markdown(text: str) -> str:
    """A docstring as Markdown: roles become code, double backticks single ones."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    pieces = text.split("`")  # every other one is code
    return "`".join(piece if at % 2 else piece.replace("<", "&lt;") for at, piece in enumerate(pieces))


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command
