"""The part of a scenario that says whose ratings: the sources, and what of a table takes part.

A source is a class whose field ``source: Literal["name"]`` says its name. Its fields are keys of ``ratings``
in a scenario file, and its method ``population`` gives the users. For ratings that fit in one table, derive
from :class:`TableSource` and implement ``load``; otherwise derive from :class:`Section`.

Decorate the class with :func:`source`. In a package that others install, name it as an entry point instead:

    [project.entry-points."fedmf_ray.sources"]
    netflix = "my_package.sources:Netflix"

:mod:`fedmf_ray.testing.sources` has the tests that every source should pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_serializer

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import given_split, table
from fedmf_ray.ratings.names import Names, OnDemand
from fedmf_ray.ratings.scale import Scale, inferred
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import MOST_ITEMS, Synthetic
from fedmf_ray.ratings.table import Ratings, UserRatings
from fedmf_ray.ratings.users import Users
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.source_registry import FROM_KEYS, SOURCES, Section, Source, chosen, source

__all__ = [
    "FROM_KEYS", "SOURCES", "FileSource", "MovieLensSource", "Section", "Source", "TableSource",
    "chosen", "source",
]  # fmt: skip

source(Synthetic)


Header = Annotated[list[bounds.Word], Field(min_length=1, max_length=1000)]
Separator = Annotated[str, Field(pattern=r"^([\t !#-,/:-@\[-`{-~]|::)$")]
Quoting = Literal["line", "multiline", "none"]


class Selection(Section):
    """Which part of a table takes part. Items first, then users, as the authors do."""

    items: bounds.Items | None = None
    """Keep the most-rated items (ties by first appearance in the file)."""
    users: bounds.Users | None = None
    """Keep the first users in numeric order of their id; ids that are text come by first appearance."""
    min_raters: bounds.Users = 1
    """Then drop items that fewer of those users rated: a lone rater's steps can be read off V."""
    min_ratings: Annotated[int, Field(ge=0, le=MOST_ITEMS)] = 1
    """Then drop users with fewer ratings than this among the kept items; 0 keeps also those without any.
    Where this leaves items with fewer than ``min_raters`` raters, both are repeated until both hold."""


class Titles(Section):
    """Where the titles of items are, for the lists that people are shown."""

    path: bounds.Location
    """A file with a line per item, text or Parquet. A relative path starts at the scenario file."""
    item: bounds.Word | None = None
    """The column of the items' ids; if not given, it is named as in the ratings, or ``item``."""
    title: bounds.Word = "title"
    """The column of the titles."""
    header: Header | None = None
    """This and the next three as in ``ratings``, for files of which recognising goes wrong."""
    separator: Separator | None = None
    """Between cells, as in ``ratings``."""
    encoding: str | None = None
    """For example ``latin-1``, as in ``ratings``."""
    quoting: Quoting = "line"
    """What double quotes do, as in ``ratings``."""


class TableSource(Section):
    """Ratings that one process reads as a table, and of which it gives each user its own."""

    source: str
    select: Selection = Selection()
    titles: Titles | None = None
    scale: Annotated[Scale, FROM_KEYS] | None = None
    """From which numbers people chose. If not given, users report the minimum, the maximum and the step of
    the ratings that they train on, and a note says what that gives."""

    @field_validator("titles", mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @abstractmethod
    def load(self) -> Ratings:
        """All ratings, the same every time; raises :class:`FedMFError` in one line that names the file."""

    def load_split(self, split: Split) -> Ratings:
        """All ratings, with the test ratings marked if somebody else has made the split."""
        if split.given:
            key = "file" if split.file else "column"
            raise FedMFError(f"test.{key}: needs ratings.source: file, and not {self.source}")
        return self.load()

    def own_titles(self) -> Mapping[int, str]:
        """Titles that come with the ratings, by the number of an item."""
        return {}

    @property
    def item_column(self) -> str:
        """What the ratings call the column of items."""
        return "item"

    def population(self, seed: int, split: Split) -> Users:
        ratings = self.load_split(split)
        ratings, item_ids, user_ids = table.select(ratings, **dict(self.select))
        if ratings.test is not None and self.select.min_ratings:
            user_ids = given_split.who_trains(ratings, user_ids)
            ratings = ratings.keep(np.isin(ratings.user_ids, user_ids))
        slices = table.per_user(ratings, item_ids, user_ids, seed, split)
        names, notes = ratings.names, list(ratings.notes)
        scale = self._scale(ratings, slices, notes)
        titles = self.own_titles()
        if self.titles:
            titles, more = self._read_titles(names, item_ids)
            notes += more
        return Users(user_ids.tolist(), item_ids, slices, replace(names, titles=titles), tuple(notes), scale)

    def _scale(self, ratings: Ratings, slices: Sequence[UserRatings], notes: list[str]) -> Scale:
        """As it was told, if no rating contradicts it; or what the training ratings show."""
        told = self.scale
        wrong = None if told is None else told.off(ratings.values)
        if wrong is not None:
            rated = f"{ratings.pair(wrong)} is rated {ratings.values[wrong]:g}"
            raise FedMFError(
                f"{ratings.source}: {rated}, which is not on ratings.scale, {told}: correct one of them"
            )
        if told is not None and told.step is not None:
            return told
        values = np.concatenate([user.values for user in slices])
        if told is not None:
            return inferred(np.concatenate([values, [told.low, told.high]]))
        found = inferred(values)
        notes.append(f"ratings are {found}: inferred from those for training (ratings.scale)")
        return found

    def _read_titles(self, names: Names, item_ids: table.Integers) -> tuple[Mapping[int, str], list[str]]:
        from fedmf_ray.ratings import csv_files, titles  # pandas stays out of synthetic runs

        told = self.titles
        assert told is not None
        header = tuple(told.header) if told.header else None
        dialect = csv_files.Dialect(told.separator, told.encoding, None, told.quoting, header)
        return titles.read(told.path, told.item or self.item_column, told.title, names, item_ids, dialect)

    @model_serializer(mode="wrap")
    def _select_last(self, handler: Any) -> dict[str, Any]:
        """In a written scenario, which table comes before what is selected of it."""
        keys: dict[str, Any] = handler(self)
        last = ("scale", "titles", "select")
        return {key: keys[key] for key in keys if key not in last} | {key: keys[key] for key in last}


@source
class MovieLensSource(TableSource):
    """A MovieLens data set from the cache (``fedmf-ray data fetch NAME``)."""

    source: Literal["movielens"]
    dataset: bounds.Word = "ml-latest-small"
    """Its name: ``fedmf-ray data list`` has all of them."""

    def load(self) -> Ratings:
        from fedmf_ray.ratings import movielens  # pandas stays out of synthetic runs

        return movielens.load(self.dataset, movielens.cache_folder())

    def own_titles(self) -> Mapping[int, str]:
        from fedmf_ray.ratings import movielens

        return OnDemand(lambda: movielens.titles(self.dataset, movielens.cache_folder()))

    @property
    def item_column(self) -> str:
        return "movieId"


class Columns(Section):
    """Which column of a file holds what."""

    user: bounds.Word = "user"
    """Who rated."""
    item: bounds.Word = "item"
    """What was rated."""
    rating: bounds.Word = "rating"
    """How high: a number on any scale."""
    timestamp: bounds.Word | None = None
    """Without one, the order of the file is the order in time."""


@source
class FileSource(TableSource):
    """Any text or Parquet file with named columns, compressed or not, or a folder of Parquet files.

    A relative path starts at the scenario file. How a text file is written is recognised by its first lines,
    and a note says so; the keys after ``columns`` are for files of which that goes wrong. Ids are text:
    ``7`` and ``007`` are two. They keep their number if all of their column are whole numbers (``5`` or
    ``5.0``), and are numbered 1, 2, ... by first appearance otherwise.
    """

    source: Literal["file"]
    path: bounds.Location
    """Of the file or folder. A relative path starts at the scenario file."""
    columns: Columns = Columns()
    header: Header | None = None
    """The names of all columns, in order, of a text file in which no line has them."""
    separator: Separator | None = None
    """One character between cells, ``"\\t"`` for a tab, or ``"::"``. If not given, a comma, semicolon, tab,
    bar or space: the one that cuts a line into the names of the columns."""
    decimal: Literal[".", ","] | None = None
    """Between a number and its fraction. If not given, a comma where numbers have commas and no points."""
    encoding: str | None = None
    """For example ``latin-1``. If not given, UTF-8, or UTF-16 or UTF-32 where the first bytes show it."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """Lines that start with this are left out. If not given, those with # or % above the header are."""
    quoting: Quoting = "line"
    """What double quotes do. ``line``: cells in quotes end in their line, or the file is refused.
    ``multiline``: they may hold line breaks. ``none``: quotes are characters like others."""

    def load(self) -> Ratings:
        return self._load(self.path)

    def load_split(self, split: Split) -> Ratings:
        if not split.given:
            return self.load()
        if split.column:
            ratings, source = self._load(self.path, held_out=split.column), self.path
        else:
            assert split.file is not None
            train, test = self._load(self.path), self._load(split.file)
            ratings, source = given_split.joined(train, test, bool(self.columns.timestamp)), split.file
        return given_split.known_users(ratings, source)

    @property
    def item_column(self) -> str:
        return self.columns.item

    def _load(self, path: str, **more: str) -> Ratings:
        from fedmf_ray.ratings import csv_files, files

        columns = {role: name for role, name in self.columns if name} | more
        header = tuple(self.header) if self.header else None
        dialect = csv_files.Dialect(self.separator, self.encoding, self.comment, self.quoting, header)
        return files.load_table(path, columns, dialect, self.decimal)
