"""A scenario with a ``sweep`` section, spelled out as one scenario per cell.

sweep:
  ratings.select.items: [40, 80, 160]       # every value of this ...
  protocol.part_text_sparsity: [0, 1]       # ... with every value of that
  zip:                                      # these go together, the first with the first
    protocol.key_bits: [2048, 3072]
    model.factors: [60, 100]
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.wording import shown

Keys = dict[str, Any]

_MOST_CELLS = 10_000
"""Of a study. Their run folders have four digits, and checking so many scenarios takes seconds."""


@dataclass(frozen=True)
class Cell:
    """One combination of swept values.

    number: from 0, in the order of the file. keys: dotted key to value, the same keys in every cell.
    """

    number: int
    keys: Keys
    scenario: Scenario

    @property
    def name(self) -> str:
        """Its folder inside the study."""
        return f"{self.number:04d}"

    def __str__(self) -> str:
        return f"cell {self.number} ({', '.join(f'{key}={value}' for key, value in self.keys.items())})"


@dataclass(frozen=True)
class Study:
    """A sweep spelled out. ``text`` is its whole content as YAML: two studies are the same if that is."""

    name: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:8]


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a scenario with a sweep and validate every cell; errors name the file and the cell."""
    return of_tree(scenario_file.read(path, overrides), str(path))


def of_tree(tree: dict[str, Any], path: str) -> Study:
    """:func:`load`, of a tree of keys. path: what messages call it."""
    text = yaml.safe_dump(tree, sort_keys=True, allow_unicode=True)
    sweep = tree.pop("sweep", None)
    if not isinstance(sweep, dict) or not sweep:
        raise FedMFError(f"{path}: sweep: is missing: dotted keys with lists of values")
    cells = []
    for number, keys in enumerate(_combinations(sweep, path)):
        chosen = copy.deepcopy(tree)
        for key, value in keys.items():
            scenario_file.assign(chosen, key, value)
        cells.append(Cell(number, keys, scenario_file.parse(chosen, f"{path}: {_describe(number, keys)}")))
    return Study(cells[0].scenario.name, text, tuple(cells))


def table_value(value: Any) -> Any:
    """A swept value as one cell of a table."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _describe(number: int, keys: Keys) -> str:
    return f"cell {number} ({', '.join(f'{key}={_brief(value)}' for key, value in keys.items())})"


def _brief(value: Any) -> str:
    """A swept value as a word of a message; also of a date or whatever else YAML knows."""
    text = json.dumps(value, default=str, skipkeys=True)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _combinations(sweep: dict[str, Any], source: str) -> list[Keys]:
    """The cross product of axes; ``zip`` is one axis whose keys move together."""
    together = sweep.get("zip", {})
    for key in (*sweep, *(together if isinstance(together, dict) else ())):
        if not isinstance(key, str) or not all(key.split(".")):
            raise FedMFError(f"{source}: sweep: {shown(key)} is no dotted key")
    axes = [[{key: value} for value in _values(key, sweep[key], source)] for key in sweep if key != "zip"]
    if together:
        if not isinstance(together, dict):
            raise FedMFError(f"{source}: sweep.zip: must hold dotted keys with lists of values")
        lists = {key: _values(f"zip.{key}", values, source) for key, values in together.items()}
        if len({len(values) for values in lists.values()}) > 1:
            lengths = ", ".join(f"{key} has {len(values)}" for key, values in lists.items())
            raise FedMFError(f"{source}: sweep.zip: lists must be equally long: {lengths}")
        axes.append([dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])
    if math.prod(map(len, axes)) > _MOST_CELLS:
        raise FedMFError(
            f"{source}: sweep: has more than {_MOST_CELLS:,} cells: each is a run of its own; "
            "make several studies"
        )
    combinations = []
    for steps in itertools.product(*axes):
        keys: Keys = {}
        for step in steps:
            clash = keys.keys() & step.keys()
            if clash:
                raise FedMFError(f"{source}: sweep: {clash.pop()} is swept twice")
            keys |= step
        combinations.append(keys)
    return combinations


def _values(key: str, values: Any, source: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise FedMFError(f"{source}: sweep.{key}: must be a list with at least one value")
    return values
