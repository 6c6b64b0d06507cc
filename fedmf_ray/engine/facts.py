"""Where and how a federation runs, for ``environment.json``."""

from __future__ import annotations

from typing import Any

from fedmf_ray.costs.tariff import Tariff
from fedmf_ray.engine.answers import Hosting
from fedmf_ray.engine.backends import Backend
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.placement import place
from fedmf_ray.planning.plan import Plan
from fedmf_ray.scenario.schema import Scenario


def placed(plan: Plan, backend: Backend) -> list[range]:
    """Which users share an actor on this backend; refuses what it cannot hold."""
    cluster = plan.scenario.cluster
    return place(plan, cluster.users_per_actor, backend.cpus, backend.memory_bytes, cluster.actor_cpus)


def facts_of(
    scenario: Scenario,
    plan: Plan,
    backend: Backend,
    groups: list[range],
    hosting: Hosting,
    tariff: Tariff | None,
) -> dict[str, Any]:
    """Without what a committee adds."""
    how = "measured per block of users, shared by ratings" if hosting.together else "measured per user"
    facts: dict[str, Any] = {
        "backend": scenario.cluster.backend,
        "cluster_cpus": backend.cpus,
        "users": len(plan.population.user_ids),
        "items": plan.terms.blocks.items,
        "user_actors": len(groups),
        "users_per_actor": max(map(len, groups)),
        "server_shards": plan.terms.blocks.servers,
        "layout": layout_line(plan),
        "update_cpu_s": "charged" if tariff else how,
        "uploads_combined": hosting.combine,
    }
    return facts | ({"unit_costs": tariff.unit.named()} if tariff else {})
