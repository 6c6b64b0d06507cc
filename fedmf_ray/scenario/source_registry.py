"""Sources of ratings by name, and the class that sections of a scenario derive from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Protocol, TypeVar, cast, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetPydanticSchema, TypeAdapter
from pydantic_core import CoreSchema

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.users import Users
from fedmf_ray.registry import Registry
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
