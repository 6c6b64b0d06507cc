"""The section ``observe`` of a scenario: what an adversary gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from fedmf_ray.ratings.names import Names, shortened
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.sources import Section

_STREAM = 10
"""docs/architecture.md lists the streams of a seed."""

_MEMBER = "member"


def _may_name(one: object) -> bool:
    """A number of users, a number that is an id, or an id that is a text."""
    return type(one) is str or (type(one) is int and one >= 0)


_NO_NAMES = Names()


class Observe(Section):
    """What an adversary gets to see of a run, for ``fedmf-ray audit``; not for runs to be published."""

    who: Literal["server", "user"]
    """``server``: uploads as they arrive, and V if it is in the clear. ``user``: V of each round."""
    rounds: Annotated[list[bounds.Round], Field(min_length=1, max_length=10_000)] | None = None
    """Which rounds are recorded; the first two and the last two if not given."""
    collusion: bool | bounds.Helpers | list[Annotated[int, Field(ge=0)] | str] = False
    """Who helps: so many other users (``true``: one), or a list of ids of users, as the file has them, and of
    ``member``, once for each member of a committee. They lend the adversary all that they have: keys, and
    what they uploaded themselves. With ``who: user``, those who are named, or the user and so many others,
    work together."""
    largest_gb: bounds.Gigabytes = 2.0
    """A view that would be larger stops the run before it starts."""

    @field_validator("collusion", mode="before")
    @classmethod
    def _has_a_form(cls, given: Any) -> Any:
        """Otherwise a person would be told about each form by itself."""
        counted = type(given) is int and given <= bounds.MOST_HELPERS
        named = given if isinstance(given, list) else [given] if counted else None
        if type(given) is not bool and (named is None or not all(map(_may_name, named))):
            raise ValueError("is none of these: true, a number of users, a list of ids and of member")
        return given

    @model_validator(mode="after")
    def _nobody_helps_twice(self) -> Observe:
        named = [str(one) for one in self.helpers if one != _MEMBER]
        if len(set(named)) < len(named):
            raise ValueError("collusion: names a user twice")
        return self

    @property
    def helpers(self) -> list[int | str]:
        """Who is named."""
        return list(self.collusion) if isinstance(self.collusion, list) else []

    @property
    def members(self) -> int:
        """How many members of a committee help."""
        return self.helpers.count(_MEMBER)

    def users(self, user_ids: Sequence[int], seed: int, names: Names = _NO_NAMES) -> list[int]:
        """The users who help, members aside: those who are named, or so many that are drawn.

        names: of users in the file, if these are not their numbers. Raises ``ValueError`` for one who is not
        there."""
        there, named = set(user_ids), list[int]()
        for one in self.helpers:
            if one == _MEMBER:
                continue
            user_id = names.user_id(str(one))
            if user_id is None or user_id not in there:
                some = ", ".join(names.show_user(known) for known in list(user_ids)[:3])
                shown = shortened(one) if isinstance(one, str) else one
                raise ValueError(f"collusion: there is no user {shown}: users are {some} and others")
            named.append(user_id)
        count = 0 if isinstance(self.collusion, list) else int(self.collusion)
        if self.who == "user" and count:
            count += 1  # itself
        if count > len(user_ids) - 1:
            raise ValueError(f"collusion: {count} of {len(user_ids)} users leave nobody to attack")
        stream = np.random.SeedSequence(seed, spawn_key=(_STREAM,))
        drawn = np.random.default_rng(stream).permutation(len(user_ids))[:count]
        return named + sorted(int(user_ids[at]) for at in drawn)

    def recorded(self, rounds: int) -> frozenset[int]:
        """The numbers of the rounds to record, of so many."""
        chosen = self.rounds or (0, 1, rounds - 2, rounds - 1)
        return frozenset(number for number in chosen if 0 <= number < rounds)
