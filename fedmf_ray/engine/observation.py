"""What the adversary of a scenario gets to see of a run, if it says `observe`."""

from __future__ import annotations

from fedmf_ray.engine.crew import Crew
from fedmf_ray.engine.server_actor import join_pieces
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.views import ClearView, SealedUpload, SealedView, UserView, View
from fedmf_ray.scenario.schema import Scenario


def in_the_clear(scenario: Scenario) -> bool:
    """Whether the scenario's server reads what it receives."""
    return scenario.protocol.scheme == "plain" or (
        scenario.observe is not None and scenario.observe.collusion
    )


def recorded_rounds(scenario: Scenario, plan: Plan) -> frozenset[int]:
    """Rounds of which a view is recorded; refuses a view that would be too large, before anything runs."""
    observe = scenario.observe
    if observe is None:
        return frozenset()
    rounds = observe.recorded(scenario.stop.rounds)
    if not rounds:
        raise FedMFError(f"observe.rounds: the run has rounds 0 to {scenario.stop.rounds - 1} only")
    size = len(rounds) * plan.view_bytes(observe.who, in_the_clear(scenario)) / 1e9
    if size > observe.largest_gb:
        raise FedMFError(
            f"observe: a view of {len(rounds)} rounds takes about {size:.3g} GB, more than "
            f"observe.largest_gb {observe.largest_gb:g}: record fewer rounds, or take fewer items or users"
        )
    return rounds


def view_of(number: int, scenario: Scenario, crew: Crew) -> View:
    """The adversary's view of a round whose uploads have all arrived, and that users have not left yet."""
    backend, user = crew.backend, crew.users[0]
    assert scenario.observe is not None
    if scenario.observe.who == "user":
        return UserView(number, backend.get(backend.call(user, "items_in_the_clear")))
    uploads = [backend.call(server, "seen") for server in crew.servers]
    if in_the_clear(scenario):
        items = backend.get(backend.call(user, "items_in_the_clear"))
        return ClearView(number, items, backend.get(backend.call(user, "decrypt_for_server", *uploads)))
    whole = join_pieces([backend.get(pieces) for pieces in uploads])
    return SealedView(number, [SealedUpload(u.user_id, u.blocks, u.ciphertexts) for u in whole])
