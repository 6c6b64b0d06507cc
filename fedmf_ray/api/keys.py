"""A scenario as a caller gives it: the path of a file, a dict of its keys, or a Scenario."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    from fedmf_ray.scenario.schema import Scenario

ScenarioLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Scenario"
"""The path of a scenario file, a dict with the same keys, or the ``scenario`` of a run."""

Overrides: TypeAlias = "Mapping[str, Any] | None"
"""Values by dotted key, as in ``{"protocol.key_bits": 2048}``."""

_NAME = "run"
"""Of a scenario in a dict that has none; it names the folder inside of the results."""


def tree_of(scenario: ScenarioLike, overrides: Overrides) -> tuple[dict[str, Any], str]:
    """The tree of keys, paths made absolute, and what to call it in messages.

    Relative paths start at the scenario file, or at the working directory where there is no file. Raises
    :class:`FedMFError`.
    """
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.scenario.schema import Scenario

    if isinstance(scenario, str | os.PathLike):
        return scenario_file.read(Path(scenario), words(overrides)), str(scenario)
    if isinstance(scenario, Scenario):
        scenario = scenario.model_dump(mode="json")
    if not isinstance(scenario, Mapping):
        raise FedMFError(
            f"scenario: is {type(scenario).__name__}: give the path of a scenario file, or a dict of its keys"
        )
    told = "scenario"
    keys = _plain(scenario, told)
    return scenario_file.complete({"name": _NAME, **keys}, words(overrides), Path.cwd() / told, told), told


def words(overrides: Overrides) -> list[str]:
    """Overrides as words of the command line. Raises :class:`FedMFError` for what no scenario can hold."""
    if overrides is None:
        return []
    if not isinstance(overrides, Mapping):
        raise FedMFError(
            f"overrides: is {type(overrides).__name__}: give a dict of dotted keys and values, as in "
            '{"protocol.key_bits": 2048}'
        )
    plain = _plain(overrides, "overrides")
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]


def _plain(value: Any, place: str) -> Any:
    """Values as a YAML file has them: numbers of NumPy, paths and tuples are turned into those."""
    if value is None or isinstance(value, bool | int | float | str):
        return value if not hasattr(value, "item") else value.item()  # type: ignore[union-attr]
    if isinstance(value, Mapping):
        return {str(key): _plain(one, f"{place}.{key}" if place else str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(one, place) for one in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # of NumPy, a number or an array
        return _plain(value.tolist(), place)
    raise FedMFError(
        f"{place}: {type(value).__name__} is no value of a scenario: give numbers, text, lists and dicts"
        + ("; frames are given as ratings=, test= or titles=" if hasattr(value, "columns") else "")
    )
