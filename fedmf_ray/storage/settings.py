"""What a checkpoint is bound to: all that shapes values, spelled out, so that a difference can be named.

A round that is done again must have the same values as before: a server may have kept uploads of the first
time, which count with those of others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fedmf_ray import __version__
from fedmf_ray.learning.rules import RULES
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import SOURCES
from fedmf_ray.schemes import SCHEMES

_VERSION = "fedmf-ray"


def settings_of(scenario: Scenario) -> dict[str, Any]:
    """Every key of a scenario but those of ``stop`` and ``cluster``, dotted, with the versions of what
    computes: this package, and plug-ins that the scenario uses."""
    tree = scenario.model_dump(mode="json", exclude={"stop", "cluster"})
    plug_ins = {
        f"plug-in of protocol.scheme {scenario.protocol.scheme}": SCHEMES.origin(scenario.protocol.scheme),
        f"plug-in of model.rule {scenario.model.rule}": RULES.origin(scenario.model.rule),
        f"plug-in of ratings.source {scenario.ratings.source}": SOURCES.origin(scenario.ratings.source),
    }
    settings = {_VERSION: __version__, **dict(_flat(tree)), **plug_ins}
    restored: dict[str, Any] = json.loads(json.dumps(settings))  # as a checkpoint has them
    return restored


def difference(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting that is not as it was saved, in words; None if all are."""
    if saved.get(_VERSION) != now[_VERSION]:
        return (
            f"the checkpoint was written by fedmf-ray {saved.get(_VERSION)}, this is {now[_VERSION]}: finish "
            "the run with that version, or run the scenario again"
        )
    for key in (*now, *saved):
        before, here = saved.get(key), now.get(key)
        if before != here or type(before) is not type(here):
            return (
                f"{key}: is {json.dumps(here)}, the run was started with {json.dumps(before)}: put that "
                "back, or run the scenario again"
            )
    return None


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
