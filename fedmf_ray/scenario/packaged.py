"""The scenarios that come with this program: ``quickstart`` names one from any folder.

They are the folder ``scenarios/`` of a checkout, which ``fedmf_ray/scenarios`` links to, so that wheels hold
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fedmf_ray
from fedmf_ray.scenario import yaml_text


@dataclass(frozen=True)
class Packaged:
    """name: without suffix. description: one line. study: whether it holds a sweep."""

    name: str
    path: Path
    description: str
    study: bool


def folder() -> Path:
    """Where they are. A copy of the code alone, as a Ray job has it, holds none."""
    return Path(fedmf_ray.__path__[0]).resolve() / "scenarios"


def packaged() -> Iterator[Packaged]:
    """All of them, by name."""
    for path in sorted(folder().glob("*.yaml")):
        tree = yaml_text.parse(path.read_text(encoding="utf-8"), f"{path}:")
        yield Packaged(path.stem, path.resolve(), str(tree.get("description", "")), "sweep" in tree)


def found(word: str | Path) -> Path:
    """The path that a word names: a file that is there, or else a packaged scenario of that bare name."""
    path = Path(word)
    if re.fullmatch(r"[\w-]+", str(word)) and not path.exists():
        named = folder() / f"{word}.yaml"
        return named.resolve() if named.is_file() else path
    return path
