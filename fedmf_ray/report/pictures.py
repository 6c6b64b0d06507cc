"""The register of pictures: what the page about a run or a study shows, and in which order.

A picture is one function with one decorator, in any module of this package or in a module that an installed
package names as an entry point of the group ``fedmf_ray.pictures``:

    @picture("Losses after each round.", run=10)
    def losses(run: Run, width: float) -> Figure: ...

``fedmf_ray.testing.pictures`` holds the contract test for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any, TypeVar

from matplotlib.figure import Figure

import fedmf_ray.report
from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import COLUMN_INCHES, PAGE_INCHES
from fedmf_ray.report.runs import Run, Study

ENTRY_POINTS = "fedmf_ray.pictures"

Folder = Run | Study
Draw = TypeVar("Draw", bound=Callable[..., Figure])


class TooMuchError(FedMFError):
    """A picture would apply, but there is too much to show on the page. The page prints the reason."""


@dataclass(frozen=True)
class Picture:
    """What one picture says of itself.

    caption: one sentence for the page. With ``each``, its ``{}`` stands for one of the names.
    draw: (run or study, width in inches) to a figure; with ``each``, a name follows. Raises
    :class:`FedMFError` with the reason where the picture does not apply.
    run, study: its place on the page of a run or a study, lowest first; None: not on that page.
    each: one figure for each of these names, which may be none.
    broad: as wide as the page, instead of one column of two.
    """

    caption: str
    draw: Callable[..., Figure]
    run: int | None = None
    study: int | None = None
    each: Callable[[Any], list[str]] | None = None
    broad: bool = False

    @property
    def name(self) -> str:
        return f"{self.draw.__module__}.{self.draw.__qualname__}"

    def place(self, folder: Folder) -> int | None:
        """Where on the page of this folder it stands, if it does."""
        return self.run if isinstance(folder, Run) else self.study


@dataclass(frozen=True)
class Drawing:
    """One figure that a page may show: ``draw`` takes a width in inches, and raises as ``Picture.draw``."""

    picture: Picture
    caption: str
    draw: Callable[[float], Figure]

    def on_page(self) -> Figure:
        return self.draw(PAGE_INCHES if self.picture.broad else COLUMN_INCHES)


_registered: dict[str, Picture] = {}


def picture(
    caption: str,
    *,
    run: int | None = None,
    study: int | None = None,
    each: Callable[[Any], list[str]] | None = None,
    broad: bool = False,
) -> Callable[[Draw], Draw]:
    """Register a function as a picture; the words are those of :class:`Picture`. It stays a function."""

    def register(draw: Draw) -> Draw:
        made = Picture(caption, draw, run, study, each, broad)
        _registered[made.name] = made
        return draw

    return register


def registered() -> list[Picture]:
    """All pictures of this package and of installed ones."""
    _load()
    return list(_registered.values())


def drawings(folder: Folder) -> Iterator[Drawing]:
    """Every figure that the page of this run or study may show, in order; some will say why they cannot."""
    placed = [(place, found) for found in registered() if (place := found.place(folder)) is not None]
    for _, found in sorted(placed, key=lambda entry: (entry[0], entry[1].name)):
        if found.each is None:
            yield Drawing(found, found.caption, partial(found.draw, folder))
            continue
        for name in found.each(folder):
            yield Drawing(found, found.caption.format(name), _of(found, folder, name))


def _of(found: Picture, folder: Folder, name: str) -> Callable[[float], Figure]:
    return lambda width: found.draw(folder, width, name)


@cache
def _load() -> None:
    """Import every module that may hold pictures."""
    for module in pkgutil.iter_modules(fedmf_ray.report.__path__):
        importlib.import_module(f"fedmf_ray.report.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
