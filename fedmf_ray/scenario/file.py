"""Reads scenario files: YAML, overrides, and errors that name the file, the key and the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import RULES
from fedmf_ray.scenario import packaged, yaml_text
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import SOURCES
from fedmf_ray.scenario.wording import UNKNOWN_KEY, place, problem
from fedmf_ray.schemes import SCHEMES


def load(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and validate a scenario file; ``overrides`` are ``key.path=value`` words, values in YAML.

    Raises :class:`FedMFError` naming the file, the key, the value and the remedy.
    """
    tree = read(path, overrides)
    if "sweep" in tree:
        raise FedMFError(f"{path}: holds a sweep: run it with `fedmf-ray sweep`")
    return parse(tree, str(path))


def read(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tree of keys of a scenario file, named and with absolute paths, not yet validated. A bare name is
    that of a scenario that comes with this program, if there is no such file."""
    path = packaged.found(path)
    tree = yaml_text.parse(_text(path), f"{path}:")
    if not isinstance(tree, dict):
        raise FedMFError(f"{path}: is not a scenario: the file must hold keys and values")
    return complete(tree, overrides, path, str(path))


def complete(tree: dict[str, Any], overrides: Sequence[str], path: Path, told: str) -> dict[str, Any]:
    """A tree of keys with overrides, a name and absolute paths, as :func:`read` gives it.

    path: of the scenario file, or of one that there might be: paths start in its folder. told: opens
    messages.
    """
    for override in overrides:
        _apply(tree, override)
    yaml_text.check_depth(tree, f"{told}:")
    tree.setdefault("name", path.stem)
    _resolve_paths(tree, path)
    return tree


def _text(path: Path) -> str:
    """No more is read than a scenario may have: a device or a data file must not fill the memory."""
    try:
        with path.open("rb") as file:
            content = file.read(yaml_text.MOST_BYTES + 1)
        if len(content) > yaml_text.MOST_BYTES:
            raise FedMFError(
                f"{path}: is not a scenario: it has more than {yaml_text.MOST_BYTES / 1e6:g} MB; ratings are "
                "named by ratings.path and do not stand in it"
            )
        return content.decode()
    except FileNotFoundError:
        raise FedMFError(f"{path}: no such scenario file{_alike(path)}") from None
    except IsADirectoryError:
        inside = path / "scenario.yaml"
        there = f": give {inside}" if inside.is_file() else ""
        raise FedMFError(f"{path}: is a folder, not a scenario file{there}") from None
    except (OSError, ValueError) as error:  # also of bytes that are no UTF-8, and of paths with a NUL
        raise FedMFError(f"{path}: cannot be read: {error}") from error


def _alike(path: Path) -> str:
    """What may have been meant instead of a file that there is not."""
    known = [one.name for one in packaged.packaged()]
    if near := get_close_matches(path.stem, known, 1):
        return f": did you mean {near[0]}, which comes with fedmf-ray (`fedmf-ray scenarios` lists all)?"
    return " (`fedmf-ray scenarios` lists those that come with fedmf-ray)"


def parse(tree: Mapping[str, Any], source: str) -> Scenario:
    """Validate a tree of keys; ``source`` opens error messages."""
    try:
        return Scenario.model_validate(tree)
    except ValidationError as error:
        raise FedMFError(_explain(error.errors()[0], tree, source)) from None
    except FedMFError as error:
        raise FedMFError(f"{source}: {error}") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    if not equals or not all(dotted.split(".")):
        raise FedMFError(f"{override}: an override reads key.path=value")
    value = yaml_text.parse(text, f"{override}: the value")
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
    ratings, test = tree.get("ratings"), tree.get("test")
    if isinstance(ratings, dict):
        if isinstance(ratings.get("titles"), str):
            ratings["titles"] = {"path": ratings["titles"]}
        for section in (ratings, ratings.get("titles")):
            if isinstance(section, dict) and isinstance(section.get("path"), str):
                section["path"] = _absolute(section["path"], path.parent)
    if isinstance(test, dict) and isinstance(test.get("file"), str):
        test["file"] = _absolute(test["file"], path.parent)
    cluster = tree.get("cluster")
    if isinstance(cluster, dict) and isinstance(cluster.get("checkpoint_folder"), str):
        cluster["checkpoint_folder"] = _absolute(cluster["checkpoint_folder"])


def _absolute(word: str, start: Path | None = None) -> str:
    """A path from a folder, if given, with links followed; one that cannot be a path stays as it is."""
    try:
        path = Path(word).expanduser()
        return str(path.absolute() if start is None else (start / path).resolve())
    except (OSError, RuntimeError, ValueError):  # a NUL, or the home of nobody: checked or read later
        return word


def _explain(error: Any, tree: Mapping[str, Any], source: str) -> str:
    """One pydantic error as ``file: key.path: value: what to do``."""
    location = [str(part) for part in error["loc"]]
    said = problem(error, _known_keys(tree, location[:-1]))
    if said.startswith(UNKNOWN_KEY):
        said = _elsewhere(tree, location) or said
    given = map(str, error["input"]) if isinstance(error["input"], Mapping) else ()
    return f"{source}: {place(location, said, [*_known_keys(tree, location), *given])}"


def _elsewhere(tree: Mapping[str, Any], location: Sequence[str]) -> str | None:
    """Where a key belongs that is unknown in its section: to a rule or scheme that is not chosen, or to
    another section."""
    *sections, key = location
    for section, choice, kinds in (("model", "rule", RULES), ("protocol", "scheme", SCHEMES)):
        if sections == [section] and key in kinds.names():
            own = _keys(kinds.get(key)).keys() - set(_known_keys(tree, [section]))
            return f"belongs to {section}.{choice}: {key}" if own else None
    if len(sections) > 1:
        return None
    homes = [name for name in _keys(Scenario) if [name] != sections and key in _known_keys(tree, [name])]
    return f"{UNKNOWN_KEY} here (did you mean {homes[0]}.{key}?)" if homes else None


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
