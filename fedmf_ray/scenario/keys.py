"""Every key of a scenario, with its type, its default and its meaning, read from the classes that define it.

``fedmf-ray keys`` prints them, and the reference page of the documentation is made from them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fedmf_ray.learning.rules import RULES
from fedmf_ray.scenario.model import Model
from fedmf_ray.scenario.schema import Protocol, Scenario
from fedmf_ray.scenario.sources import SOURCES
from fedmf_ray.schemes import SCHEMES

REQUIRED = object()
"""The default of a key that has none."""

_OWN = {Model: RULES, Protocol: SCHEMES}
"""Sections in which what is registered may have a section of its own."""

_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True)
class Key:
    """path: dotted. type: in words. default: :data:`REQUIRED` if there is none. meaning: one paragraph.

    section: whether it holds further keys, which follow it.
    """

    path: str
    type: str
    default: Any
    meaning: str
    section: bool = False

    @property
    def default_text(self) -> str:
        """In words, as a scenario file would have it."""
        if self.default is REQUIRED:
            return "required"
        if self.default is None:
            return "not given"
        if self.default in ("", []):
            return "default: none"
        return f"default {yaml.safe_dump(self.default, default_flow_style=True).splitlines()[0]}"


def keys() -> Iterator[Key]:
    """All keys, sections before what they hold, in the order of the file that a run writes.

    Sources of ratings, schemes and rules of installed plug-ins are among them.
    """
    yield from _keys_of(Scenario, "")


def _keys_of(kind: Any, above: str) -> Iterator[Key]:
    documented = meanings(kind)
    for name, (hint, default) in _fields(kind).items():
        path = f"{above}{name}"
        meaning = documented.get(name, "")
        if path == "ratings":
            yield Key(path, "keys and values", REQUIRED, "Who rated what.", section=True)
            yield from _sources()
        elif section := _section(hint):
            said = meaning or _text(section)
            given = None if default is None else PydanticUndefined
            yield Key(path, "keys and values", given, said, section=True)
            yield from _keys_of(section, f"{path}.")
        else:
            yield Key(path, _in_words(hint), default, meaning)
    for name, plug in _registered(kind):
        own = {key: value for key, value in _fields(plug).items() if key not in _fields(kind)}
        if own:
            yield Key(f"{above}{name}", "keys and values", PydanticUndefined, _text(plug), section=True)
            documented = meanings(plug)
        for key, (hint, default) in own.items():
            yield Key(f"{above}{name}.{key}", _in_words(hint), default, documented.get(key, ""))


def _sources() -> Iterator[Key]:
    names = ", ".join(SOURCES.names())
    yield Key(
        "ratings.source", f"one of {names}", REQUIRED, "Where ratings come from; decides the other keys."
    )
    for name in SOURCES.names():
        kind = SOURCES.get(name)
        yield Key(
            f"ratings (source: {name})", "keys and values", PydanticUndefined, _text(kind), section=True
        )
        yield from (key for key in _keys_of(kind, "ratings.") if key.path != "ratings.source")


def _registered(kind: Any) -> Iterator[tuple[str, Any]]:
    registry: Any = _OWN.get(kind)
    for name in registry.names() if registry else ():
        yield name, registry.get(name)


def _fields(kind: Any) -> dict[str, tuple[Any, Any]]:
    """The keys of a section: type and default."""
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, BaseModel):
        found = {name: (hints[name], field) for name, field in kind.model_fields.items() if name != "own"}
        return {
            name: (hint, REQUIRED if field.is_required() else field.get_default(call_default_factory=True))
            for name, (hint, field) in found.items()
        }
    return {field.name: (hints[field.name], _default(field)) for field in fields(kind) if field.init}


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return REQUIRED if field.default is MISSING else field.default


def _section(hint: Any) -> Any:
    """The class whose keys a section holds; None of what is a plain value."""
    if isinstance(hint, type):
        return hint if issubclass(hint, BaseModel) or is_dataclass(hint) else None
    if get_origin(hint) in (Annotated, Union, UnionType):
        parts = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
        return next(filter(None, map(_section, parts)), None)
    return None


def _in_words(hint: Any, limits: str = "") -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _in_words(arguments[0], _limits(arguments[1:]))
    if origin is Literal:
        return (
            " or ".join(map(str, arguments))
            if len(arguments) < 3
            else f"one of {', '.join(map(str, arguments))}"
        )
    if origin in (Union, UnionType):
        return ", or ".join(_in_words(part, limits) for part in arguments if part is not NoneType)
    if origin in (list, tuple):
        inside = next(iter(arguments), Any)
        return f"list of: {_in_words(inside)}"
    numeric = limits if hint in (int, float) else ""
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint))) + numeric


def _limits(metadata: tuple[Any, ...]) -> str:
    """``from 0 to 1``, ``above 0, up to 10,000``: what annotations demand of a number."""
    flat = [one for data in metadata for one in (data.metadata if isinstance(data, FieldInfo) else [data])]
    low, high = "", ""
    for one in flat:
        if isinstance(one, Ge):
            low = f"at least {_number(one.ge)}"
        elif isinstance(one, Gt):
            low = f"above {_number(one.gt)}"
        elif isinstance(one, Le):
            high = f"at most {_number(one.le)}"
        elif isinstance(one, Lt):
            high = f"below {_number(one.lt)}"
    return "".join(f", {limit}" for limit in (low, high) if limit)


def _number(value: Any) -> str:
    if isinstance(value, int) and value > 10**9 and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}" if abs(value) < 10**9 else f"{float(value):.3g}"
    return f"{value:g}"


def meanings(kind: type) -> dict[str, str]:
    """What the texts below the fields of a class say, by field; those of a class above it count, too."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith(("pydantic", "builtins", "abc", "typing")):
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        except (OSError, TypeError, SyntaxError):  # a class that was made, not written
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                said = text.value if isinstance(text, ast.Expr) else None
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    found[field.target.id] = " ".join(said.value.split())
    return found


def _text(kind: type) -> str:
    """The docstring of a class, paragraphs kept."""
    return inspect.cleandoc(kind.__doc__ or "")
