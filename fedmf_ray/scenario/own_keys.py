"""Settings that a scheme or a rule brings along: the fields of its dataclass, as a section under its name.

protocol: {scheme: masked, masked: {...}}
model: {rule: huber, huber: {delta: 0.5}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, TypeAdapter, ValidationError, model_serializer, model_validator

from fedmf_ray.scenario.sources import FROM_KEYS, Section


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
        return rest | {"own": own}

    @model_serializer(mode="wrap")
    def _spread(self, handler: Any) -> dict[str, Any]:
        tree: dict[str, Any] = handler(self)
        own: dict[str, Any] = tree.pop("own", {})
        return {**tree, **own}


def known(name: str, names: Sequence[str]) -> str:
    """The name, if it is one of those that are registered."""
    if name not in names:
        raise ValueError(f"should be one of {', '.join(names) or 'those of installed plug-ins'}")
    return name


def check_own(kind: type, keys: Any) -> None:
    """Raise ``ValueError`` with ``name.key: what is wrong`` unless keys are settings that the class takes."""
    name = getattr(kind, "name", kind.__name__)
    annotated: Any = Annotated[kind, FROM_KEYS]
    try:
        TypeAdapter(annotated).validate_python(keys or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([name, *map(str, first["loc"])])
        reason = "unknown key" if first["type"] == "unexpected_keyword_argument" else first["msg"]
        raise ValueError(f"{where}: {reason.removeprefix('Value error, ')}") from None
