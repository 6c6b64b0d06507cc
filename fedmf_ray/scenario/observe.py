"""The section ``observe`` of a scenario: what an adversary gets to see."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.sources import Section


class Observe(Section):
    """What an adversary gets to see of a run, for ``fedmf-ray audit``; not for runs to be published."""

    who: Literal["server", "user"]
    """``server``: uploads as they arrive, and V if it is in the clear. ``user``: V of each round."""
    rounds: Annotated[list[bounds.Round], Field(min_length=1, max_length=10_000)] | None = None
    """Which rounds are recorded; the first two and the last two if not given."""
    collusion: bool = False
    """The server has a key-holder decrypt everything for it."""
    largest_gb: bounds.Gigabytes = 2.0
    """A view that would be larger stops the run before it starts."""

    @model_validator(mode="after")
    def _a_server_colludes(self) -> Observe:
        if self.collusion and self.who != "server":
            raise ValueError("collusion: needs who: server")
        return self

    def recorded(self, rounds: int) -> frozenset[int]:
        """The numbers of the rounds to record, of so many."""
        chosen = self.rounds or (0, 1, rounds - 2, rounds - 1)
        return frozenset(number for number in chosen if 0 <= number < rounds)
