"""YAML as scenario files have it, read within bounds: a short text must not take long, whatever it says."""

from __future__ import annotations

import re
from typing import Any

import yaml

from fedmf_ray.errors import FedMFError

MOST_BYTES = 10**6
"""Of a file. Scenarios have two thousand, and comments count, too."""

_MOST_VALUES = 20_000
"""Keys and values, those behind an alias counted each time: a study of thousands of cells has fewer, and
reading them takes two seconds."""

_DEEPEST = 12
"""Levels of keys and lists; scenarios have four."""

_MOST_DIGITS = 100
"""Of an integer: no key takes one with more, and Python refuses to print some with thousands."""

_REFUSED = (
    yaml.YAMLError,
    RecursionError,
    ValueError,  # these and the others: PyYAML of a tag, or a date, with a text that does not fit it
    TypeError,
    ArithmeticError,
    AttributeError,
    LookupError,
)


def parse(text: str, place: str) -> Any:
    """What a YAML text says. Raises :class:`FedMFError`, whose message ``place`` opens."""
    try:
        return yaml.load(text, Loader=_Loader)
    except _REFUSED as error:
        raise FedMFError(f"{place} is not YAML: {_one_line(error)}") from error


def check_depth(tree: Any, place: str) -> None:
    """Raise :class:`FedMFError` if keys and lists are nested deeper than in any scenario."""
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
    if level:
        raise FedMFError(f"{place} is not a scenario: keys are nested more than {_DEEPEST} deep")


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats (PyYAML reads 1e-3 as a string) and no silent duplicate keys, within bounds."""

    _sizes: dict[int, int]
    """Values below each node that has been read, by its identity: nodes live as long as their text."""
    _values = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """One more node, or an alias: then whatever it stands for, once more."""
        sizes = self.__dict__.setdefault("_sizes", {})
        is_alias, before = self.check_event(yaml.AliasEvent), self._values
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        node = super().compose_node(parent, index)
        if is_alias:
            if id(node) not in sizes:
                raise yaml.composer.ComposerError(None, None, "an alias stands inside of its anchor", mark)
            self._values += sizes[id(node)]
        else:
            self._values += 1
            sizes[id(node)] = self._values - before
        if self._values > _MOST_VALUES:
            problem = f"more than {_MOST_VALUES} keys and values: write fewer (aliases count each time)"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            try:
                twice = key in seen
                seen.add(key)
            except TypeError:  # a list or a dict, which no key may be: the next line says so
                break
            if twice:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", key_node.start_mark
                )
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MOST_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"an integer has {len(node.value)} digits", node.start_mark
            )
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
