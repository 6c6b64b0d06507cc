"""What a plan's work costs where it runs: unit costs measured on a backend, once for a place and a
setting."""

from __future__ import annotations

from typing import Any

from fedmf_ray.costs.tariff import Tariff, UnitCosts
from fedmf_ray.costs.unit_costs import Columns, measure
from fedmf_ray.engine.backends import Backend
from fedmf_ray.engine.persistence import Lost, persist
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan

_unit_costs: dict[tuple[Any, ...], UnitCosts] = {}
"""So that the cells of a study are charged alike."""


def tariff(plan: Plan, actors: int, asked: int, backend: Backend) -> Tariff:
    """With as many CPUs busy at once as the run keeps busy. asked: users in a round."""
    busy = min(actors, backend.cpus)
    setting, scheme = plan.terms.setting, plan.scheme
    # Regularisers and step sizes change no work: cells that differ in these alone are charged alike.
    shape = plan.terms.blocks.shape if len(plan.terms.blocks.shared) else None
    prepared = plan.terms.blocks.items if plan.terms.rule.prepares else 0
    columns = Columns(setting.factors, setting.biases, min(2, setting.min_raters), shape, prepared)
    rated = plan.terms.shared_check
    at = (backend.name, busy, scheme, plan.terms.rule, columns, rated)
    if at not in _unit_costs:

        def measured() -> UnitCosts:
            each = [backend.run(measure, scheme, plan.terms.rule, columns, rated) for _ in range(busy)]
            return UnitCosts.mean([backend.get(reference) for reference in each])

        _unit_costs[at] = persist(measured, lambda _: None, _cannot_measure)
    full_text = plan.terms.part_text_sparsity == 0
    return Tariff(_unit_costs[at], plan.terms.blocks, scheme, asked, full_text, rated)


def _cannot_measure(error: Lost) -> Exception:
    return FedMFError(
        "Ray workers keep dying while unit costs are measured (most often for lack of memory): leave more "
        f"memory free; Ray says: {error}"
    )
