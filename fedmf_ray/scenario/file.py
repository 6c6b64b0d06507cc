"""Reads scenario files: YAML, overrides, and errors that name the file, the key and the value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import SOURCES
from fedmf_ray.scenario.wording import place, problem

_DEEPEST = 12
"""Levels of keys and lists in a file; scenarios have four."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and validate a scenario file; ``overrides`` are ``key.path=value`` words, values in YAML.

    Raises :class:`FedMFError` naming the file, the key, the value and the remedy.
    """
    tree = read(path, overrides)
    if "sweep" in tree:
        raise FedMFError(f"{path}: holds a sweep: run it with `fedmf-ray sweep`")
    return parse(tree, str(path))


def read(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tree of keys of a scenario file, named and with absolute paths, not yet validated."""
    path = Path(path)
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise FedMFError(f"{path}: no such scenario file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FedMFError(f"{path}: cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise FedMFError(f"{path}: is not YAML: {_one_line(error)}") from error
    if not isinstance(tree, dict):
        raise FedMFError(f"{path}: is not a scenario: the file must hold keys and values")
    if _depth(tree) > _DEEPEST:
        raise FedMFError(f"{path}: is not a scenario: keys are nested more than {_DEEPEST} deep")
    for override in overrides:
        _apply(tree, override)
    tree.setdefault("name", path.stem)
    _resolve_paths(tree, path)
    return tree


def _depth(tree: Any) -> int:
    """How deep keys and lists are nested; stops counting beyond the limit."""
    level, depth = [tree], 0
    while level and depth <= _DEEPEST:
        level = [child for node in level if isinstance(node, dict | list) for child in _children(node)]
        level, depth = [node for node in level if isinstance(node, dict | list)], depth + 1
    return depth


def _children(node: dict[Any, Any] | list[Any]) -> Sequence[Any]:
    return list(node.values()) if isinstance(node, dict) else node


def parse(tree: Mapping[str, Any], source: str) -> Scenario:
    """Validate a tree of keys; ``source`` opens error messages."""
    try:
        return Scenario.model_validate(tree)
    except ValidationError as error:
        raise FedMFError(_explain(error.errors()[0], tree, source)) from None
    except FedMFError as error:
        raise FedMFError(f"{source}: {error}") from None


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats (PyYAML reads 1e-3 as a string) and no silent duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", node.value[at][0].start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _apply(tree: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    if not equals or not all(dotted.split(".")):
        raise FedMFError(f"{override}: an override reads key.path=value")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise FedMFError(f"{override}: the value is not YAML: {_one_line(error)}") from error
    assign(tree, dotted, value)


def assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set the key at a dotted path, making the sections on the way."""
    *sections, last = dotted.split(".")
    node = tree
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise FedMFError(f"{dotted}={value}: {section} holds no keys")
        node = child
    node[last] = value


def _resolve_paths(tree: dict[str, Any], path: Path) -> None:
    """File paths start at the scenario; absolute ones survive a job's change of working directory."""
    ratings = tree.get("ratings")
    if isinstance(ratings, dict) and isinstance(ratings.get("path"), str):
        ratings["path"] = str((path.parent / Path(ratings["path"]).expanduser()).resolve())
    cluster = tree.get("cluster")
    if isinstance(cluster, dict) and isinstance(cluster.get("checkpoint_folder"), str):
        cluster["checkpoint_folder"] = str(Path(cluster["checkpoint_folder"]).expanduser().absolute())


def _explain(error: Any, tree: Mapping[str, Any], source: str) -> str:
    """One pydantic error as ``file: key.path: value: what to do``."""
    location = [str(part) for part in error["loc"]]
    said = problem(error, _known_keys(tree, location[:-1]))
    given = map(str, error["input"]) if isinstance(error["input"], Mapping) else ()
    return f"{source}: {place(location, said, [*_known_keys(tree, location), *given])}"


def _known_keys(tree: Mapping[str, Any], sections: Sequence[str]) -> list[str]:
    """The keys of the section at a path of keys."""
    kind: Any = Scenario
    for section in sections:
        kind = _source(tree) if section == "ratings" else _keys(kind).get(section)
    return list(_keys(kind))


def _source(tree: Mapping[str, Any]) -> Any:
    ratings = tree.get("ratings")
    name = ratings.get("source") if isinstance(ratings, Mapping) else None
    return SOURCES.get(name) if isinstance(name, str) and name in SOURCES.names() else None


def _keys(kind: Any) -> dict[str, Any]:
    """The keys of a section, or of an optional one, and their types."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {key: field.annotation for key, field in kind.model_fields.items()}
    if is_dataclass(kind):
        return {field.name: field.type for field in fields(kind)}
    return next(filter(None, map(_keys, get_args(kind))), {})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
