"""What the adversary of a scenario gets to see of a run, if it says `observe`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.server_actor import join_pieces
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import Rule
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.views import Agreed, ClearView, SealedUpload, SealedView, UserView, View
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes import Reads


def agreed_of(plan: Plan) -> Agreed:
    """What everybody in the protocol knows, an adversary too, and who helps it."""
    terms, observe = plan.terms, plan.scenario.observe
    try:
        users = plan.population
        helpers = observe.users(users.user_ids, plan.scenario.seed, users.names) if observe else []
    except ValueError as error:
        raise FedMFError(f"observe.{error}") from error
    members = plan.scheme.council.members if plan.scheme.council else 0
    if observe and observe.members > members:
        there = f"has {members} members" if members else "has no committee"
        raise FedMFError(f"observe.collusion: {observe.members} members help, and {plan.scheme.name} {there}")
    return Agreed(
        scheme=plan.scheme.name,
        server_reads=plan.scheme.server_reads,
        rule=terms.rule.name,
        rule_settings=_settings(terms.rule),
        setting=terms.setting,
        least_rows=uploaded_count(0, terms.blocks.items, terms.part_text_sparsity),
        rows_per_block=terms.blocks.rows,
        helpers=tuple(helpers),
        members=observe.members if observe else 0,
    )


def _settings(rule: Rule) -> dict[str, Any]:
    return {field.name: getattr(rule, field.name) for field in fields(rule)} if is_dataclass(rule) else {}


def in_the_clear(scenario: Scenario, plan: Plan) -> bool:
    """Whether the scenario's server reads what it receives: unless its scheme claims otherwise, it does."""
    agreed = agreed_of(plan)
    return plan.scheme.opened_by(len(agreed.helpers), agreed.members)


def recorded_rounds(scenario: Scenario, plan: Plan) -> frozenset[int]:
    """Rounds of which a view is recorded; refuses a view that would be too large, before anything runs."""
    observe = scenario.observe
    if observe is None:
        return frozenset()
    rounds = observe.recorded(scenario.stop.rounds)
    if not rounds:
        raise FedMFError(f"observe.rounds: the run has rounds 0 to {scenario.stop.rounds - 1} only")
    size = len(rounds) * view_bytes(plan, observe.who, in_the_clear(scenario, plan)) / 1e9
    if size > observe.largest_gb:
        raise FedMFError(
            f"observe: a view of {len(rounds)} rounds takes about {size:.3g} GB, more than "
            f"observe.largest_gb {observe.largest_gb:g}: record fewer rounds, or take fewer items or users"
        )
    return rounds


def view_bytes(plan: Plan, who: str, clear: bool) -> int:
    """How much an adversary's view of one round takes."""
    blocks = plan.terms.blocks
    matrix = 8 * blocks.items * blocks.width
    if who == "user":
        return matrix
    uploads = list(plan.population.uploads(blocks, plan.terms.part_text_sparsity))
    if clear:
        return matrix + sum(int(some.rows.sum()) for some in uploads) * 8 * (blocks.width + 1)
    sealed = plan.scheme.block_bytes(blocks.shape) + 8
    sums = matrix if _reads_sums(plan.scenario, plan) else 0
    return sums + sum(int(some.blocks.sum()) for some in uploads) * sealed


def _reads_sums(scenario: Scenario, plan: Plan) -> bool:
    """Whether the server sees V: any user can show it."""
    helped = scenario.observe is not None and bool(scenario.observe.collusion)
    return helped or plan.scheme.server_reads == Reads.SUMS


def view_of(number: int, scenario: Scenario, plan: Plan, crew: Crew) -> View:
    """The adversary's view of a round whose uploads have all arrived, and that users have not left yet."""
    backend, user = crew.backend, crew.users[0]
    assert scenario.observe is not None
    if scenario.observe.who == "user":
        return UserView(number, backend.get(backend.call(user, "items_in_the_clear")))
    uploads = [backend.call(server, "seen") for server in crew.servers]
    if in_the_clear(scenario, plan):
        items = backend.get(backend.call(user, "items_in_the_clear"))
        helped = scenario.observe.members
        if helped and crew.chair is not None:
            crew.chair.lend(user)
        read = backend.call(user, "decrypt_for_server", helped, *uploads)
        return ClearView(number, items, backend.get(read))
    whole = join_pieces([backend.get(pieces) for pieces in uploads])
    items_blocks = plan.terms.blocks.item_count  # what everybody uploads of shared tables says nothing
    sealed = [
        SealedUpload(u.user_id, u.blocks[u.blocks < items_blocks], u.ciphertexts[u.blocks < items_blocks])
        for u in whole
    ]
    reads_sums = _reads_sums(scenario, plan)
    sums = backend.get(backend.call(user, "items_in_the_clear")) if reads_sums else None
    return SealedView(number, sealed, sums)
