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
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    TypeAdapter,
    model_serializer,
)
from pydantic_core import CoreSchema

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import table
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import MOST_ITEMS, Synthetic
from fedmf_ray.ratings.table import Ratings
from fedmf_ray.ratings.users import Users
from fedmf_ray.registry import Registry
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.wording import shown


class Section(BaseModel):
    """Unknown keys are refused, values are not coerced, and nothing changes after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def _from_keys(kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    schema = handler(kind)
    cast(dict[str, Any], handler.resolve_ref_schema(schema))["strict"] = False
    return schema


FROM_KEYS = GetPydanticSchema(_from_keys)
"""A strict dataclass would refuse the keys of a file and take instances only; its fields stay strict."""


class Source(Protocol):
    """Where ratings come from, as the scenario has it."""

    @property
    def source(self) -> str:
        """The name by which a scenario chooses it."""
        ...

    def population(self, seed: int, split: Split) -> Users:
        """The users that take part, the same every time; raises :class:`FedMFError` in one line."""
        ...


def _name(kind: type) -> str:
    hint: Any
    if issubclass(kind, BaseModel):
        field = kind.model_fields.get("source")
        hint = field and field.annotation
    else:
        hint = get_type_hints(kind).get("source")
    names = get_args(hint)
    if len(names) != 1 or not isinstance(names[0], str):
        raise TypeError(f'{kind.__name__} needs a field source: Literal["name"]')
    return names[0]


def _check(name: str, offered: object) -> type[Source]:
    if not isinstance(offered, type) or not callable(getattr(offered, "population", None)):
        raise TypeError(f"{offered!r} is not a class with a method population(seed, split)")
    if _name(offered) != name:
        raise ValueError(f"{offered.__name__} calls itself {_name(offered)!r}")
    return offered


SOURCES: Registry[type[Source]] = Registry("source", "fedmf_ray.sources", _check)

S = TypeVar("S", bound=Source)


def source(kind: type[S]) -> type[S]:
    """Register a source under the name in its field ``source``."""
    SOURCES.register(_name(kind), _check(_name(kind), kind))
    return kind


def chosen(keys: Any) -> Source:
    """The keys of ``ratings`` as the source that they name, which checks the others."""
    name = keys.get("source") if isinstance(keys, Mapping) else getattr(keys, "source", None)
    if not isinstance(name, str):
        raise _unknown(name)
    return _adapter(name).validate_python(keys)


@cache  # a study may have thousands of cells, and looking for entry points takes milliseconds
def _adapter(name: str) -> TypeAdapter[Source]:
    if name not in SOURCES.names():
        raise _unknown(name)
    kind: Any = Annotated[SOURCES.get(name), FROM_KEYS]
    return TypeAdapter(kind)


def _unknown(name: object) -> FedMFError:
    said = "" if name is None else f"{shown(name)} "
    return FedMFError(f"ratings.source: {said}must be one of {', '.join(SOURCES.names())}")


source(Synthetic)


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


class TableSource(Section):
    """Ratings that one process reads as a table, and of which it gives each user its own."""

    source: str
    select: Selection = Selection()

    @abstractmethod
    def load(self) -> Ratings:
        """All ratings, the same every time; raises :class:`FedMFError` in one line that names the file."""

    def population(self, seed: int, split: Split) -> Users:
        ratings, item_ids, user_ids = table.select(self.load(), **dict(self.select))
        slices = table.per_user(ratings, item_ids, user_ids, seed, split)
        return Users(user_ids.tolist(), item_ids, slices, ratings.names, ratings.notes)

    @model_serializer(mode="wrap")
    def _select_last(self, handler: Any) -> dict[str, Any]:
        """In a written scenario, which table comes before what is selected of it."""
        keys: dict[str, Any] = handler(self)
        return {key: keys[key] for key in keys if key != "select"} | {"select": keys["select"]}


@source
class MovieLensSource(TableSource):
    """A MovieLens data set from the cache (``fedmf-ray data fetch NAME``)."""

    source: Literal["movielens"]
    dataset: bounds.Word = "ml-latest-small"

    def load(self) -> Ratings:
        from fedmf_ray.ratings import movielens  # pandas stays out of synthetic runs

        return movielens.load(self.dataset, movielens.cache_folder())


class Columns(Section):
    """Which column of a file holds what."""

    user: bounds.Word = "user"
    item: bounds.Word = "item"
    rating: bounds.Word = "rating"
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
    columns: Columns = Columns()
    separator: Annotated[str, Field(pattern=r"^[\t !#-,/:-@\[-`{-~]$")] | None = None
    """One character between cells, ``"\\t"`` for a tab. If not given, a comma, semicolon, tab, bar or space:
    the one that cuts a line into the names of the columns."""
    decimal: Literal[".", ","] | None = None
    """Between a number and its fraction. If not given, a comma where numbers have commas and no points."""
    encoding: str | None = None
    """For example ``latin-1``. If not given, UTF-8, or UTF-16 or UTF-32 where the first bytes show it."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """Lines that start with this are left out. If not given, those with # or % above the header are."""
    quoting: Literal["line", "multiline", "none"] = "line"
    """What double quotes do. ``line``: cells in quotes end in their line, or the file is refused.
    ``multiline``: they may hold line breaks. ``none``: quotes are characters like others."""

    def load(self) -> Ratings:
        from fedmf_ray.ratings import csv_files, files

        columns = {role: name for role, name in self.columns if name}
        dialect = csv_files.Dialect(self.separator, self.encoding, self.comment, self.quoting)
        return files.load_table(self.path, columns, dialect, self.decimal)
