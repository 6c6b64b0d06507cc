"""Settings that a scheme or a rule brings along: the fields of its dataclass, as a section under its name.

protocol: {scheme: masked, masked: {...}}
model: {rule: huber, huber: {delta: 0.5}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, ClassVar, cast

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from fedmf_ray.scenario.sources import Section
from fedmf_ray.scenario.wording import place, problem


class OpenSection(Section):
    """A section in which each key of :attr:`choices` names something that may have a section of its own
    here."""

    choices: ClassVar[tuple[str, ...]]

    own: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The sections that were given, by name; in a file they stand beside the other keys."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping):
            return tree
        if "own" in tree:
            raise ValueError("own: unknown key")
        rest = dict(tree)
        defaults = {key: cls.model_fields[key].default for key in cls.choices}
        chosen = {
            rest.get(key, defaults[key]) for key in cls.choices if isinstance(rest.get(key), str | None)
        }
        own = {name: rest.pop(name) for name in chosen - cls.model_fields.keys() if name in rest}
        for name in cls.offered() & rest.keys() - cls.model_fields.keys():
            if _empty(rest[name]):
                del rest[name]
        return rest | {"own": own}

    @classmethod
    def offered(cls) -> set[str]:
        """Names that may be chosen. What is not may have a section without values, as in those cells of a
        study where another one is chosen."""
        return set()

    @model_serializer(mode="wrap")
    def _spread(self, handler: Any) -> dict[str, Any]:
        tree: dict[str, Any] = handler(self)
        own: dict[str, Any] = tree.pop("own", {})
        return {**tree, **own}

    def check_own(self, kind: Any) -> None:
        """Raise ``ValueError`` with ``name.key: what is wrong`` unless the section of a class holds settings
        that it takes. A setting that stands in this section is not one of its own, too."""
        keys = self.own.get(kind.name)
        if keys is None:
            return
        known = [field.name for field in fields(kind) if field.name not in type(self).model_fields]
        for key in keys if isinstance(keys, Mapping) else ():
            if key in type(self).model_fields:
                raise ValueError(f"{kind.name}.{key}: stands beside {kind.name}, not below it")
        try:
            _adapter(kind).validate_python(keys)
        except ValidationError as error:
            first = error.errors()[0]
            where = [kind.name, *map(str, first["loc"])]
            raise ValueError(place(where, problem(first, known), known)) from None


def _empty(section: Any) -> bool:
    """Whether it is null, or has nulls alone."""
    if isinstance(section, Mapping):
        return bool(section) and all(value is None for value in section.values())
    return section is None


def known(name: str, names: Sequence[str]) -> str:
    """The name, if it is one of those that are registered."""
    if name not in names:
        raise ValueError(f"should be one of {', '.join(names) or 'those of installed plug-ins'}")
    return name


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    annotated: Any = Annotated[kind, _STRICT]
    return TypeAdapter(annotated)


def _strict(kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """A dataclass from the keys of a file: its fields are checked like those of a section, though the class
    need not know pydantic."""
    schema = handler(kind)
    dataclass = cast(dict[str, Any], handler.resolve_ref_schema(schema))
    dataclass["strict"] = False  # keys, too, and not instances alone
    dataclass["config"] = {"strict": True, "extra_fields_behavior": "forbid", "allow_inf_nan": False}
    return schema


_STRICT = GetPydanticSchema(_strict)
