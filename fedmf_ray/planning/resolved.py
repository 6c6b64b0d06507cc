"""A scenario whose open keys have values: those that depend on the ratings of who takes part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fedmf_ray.learning.rules import RULES
from fedmf_ray.planning.population import Population
from fedmf_ray.scenario.model import Model
from fedmf_ray.scenario.schema import LEFT, Scenario


def resolved(scenario: Scenario, population: Population | None = None) -> tuple[Scenario, Population]:
    """The scenario with every setting spelled out, and who takes part in it, with notes of what was chosen.

    It is the same scenario: one that is resolved already stays as it is. A scale that users report is no
    setting: it follows from the ratings, and from changed ones another. Raises
    :class:`~fedmf_ray.errors.FedMFError` for anything wrong with the ratings, or if ``model.mean: auto`` asks
    for ratings that no process has.
    """
    population, notes = population or Population.of(scenario), []
    model, metrics, protocol, scale = scenario.model, scenario.metrics, scenario.protocol, population.scale
    defaults = RULES.get(model.rule).defaults(scale.length)
    mean = population.mean_rating() if model.mean in (None, "auto") else None
    if mean is not None:
        notes.append(f"ratings are relative to their mean, {mean:g} (model.mean: auto)")
    if metrics.relevant_from is None and metrics.top_k:
        metrics = metrics.model_copy(update={"relevant_from": scale.relevant_from})
        told = f"held-out ratings of {scale.relevant_from:g} or more are what lists should find"
        notes.append(f"{told} (metrics.relevant_from)")
    left = {key: getattr(defaults, key) for key in LEFT if getattr(protocol, key) is None}
    whole = scenario.model_copy(
        update={
            "metrics": metrics,
            "model": model.model_copy(
                update=model.filled(defaults, mean) | _own(model, scenario.stop.rounds)
            ),
            "protocol": protocol.model_copy(update=left | {"reading": scenario.reading}),
        }
    )
    return whole, replace(population, notes=(*population.notes, *notes))


def _own(model: Model, rounds: int) -> dict[str, Any]:
    """The rule's own settings, if some of them were left to the number of rounds."""
    rule = model.rule_object
    settled, own = rule.settled(rounds), model.own.get(rule.name) or {}
    return {"own": {**model.own, rule.name: {**own, **settled}}} if settled else {}
