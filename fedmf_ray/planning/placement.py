"""Which users share an actor, and whether the cluster can hold the actors."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.upload_rows import uploaded_count

MOST_ALONE = 32
"""Users who get an actor each if a scenario does not say (cluster.users_per_actor): each is a process, and a
laptop has gigabytes of memory for few more."""

MOST_READERS = 64
"""User actors that read a part of the item matrix each. Every actor gets every part: with a thousand actors
and as many parts, a round would pass on a million references, and each part would take no time to read."""

WORKER_BYTES = 80 * 10**6
"""What a Ray worker with an empty `UserActor` takes (private and proportional pages), rounded up;
`benchmarks/memory.py` measures it."""

_RATING_BYTES = 52
"""Of a rating at the peak, while users are made: 32 stay (item, value, its part of the table and the one that
is offered, row, block), 20 are given back. `benchmarks/scaling.py sizes` compares with what it measures."""

RAY_BYTES = 550 * 10**6
"""What Ray's own processes and the driver take beside actors: what scale-1m in the clear leaves over."""

_USER_OBJECTS_BYTES = 1000
"""Memory of a user in Python beyond the numbers in its arrays."""


def place(
    plan: Plan,
    users_per_actor: int | Literal["auto"] | None,
    cpus: int,
    memory_bytes: float | None,
    actor_cpus: float | None = None,
) -> list[range]:
    """Which users (by position) share an actor; refuses what the cluster's memory cannot hold.

    actor_cpus: what each actor asks for. Machines that must join for that are taken to have as much memory
    per CPU as those that are there.
    """
    users, memory = len(plan.population.user_ids), memory_of(plan)
    if memory_bytes is not None and actor_cpus is not None:
        memory_bytes *= max(1.0, actor_count(users, users_per_actor, cpus) * actor_cpus / cpus)
    if memory_bytes is None:
        check_process(memory.total(1, users) - 2 * WORKER_BYTES, users, plan.terms.blocks.items)
    else:
        check_memory(actor_count(users, users_per_actor, cpus), users, memory, memory_bytes)
    return group(users, users_per_actor, cpus, _work(plan))


def _work(plan: Plan) -> NDArray[np.float64] | None:
    """(users,) how much work each user's round is, relative to others', if their ratings are known here."""
    if plan.population.slices is None:
        return None
    (everybody,) = plan.population.uploads(plan.terms.blocks, plan.terms.part_text_sparsity)
    if plan.scheme.lightweight:
        return everybody.ratings.astype(float)
    return everybody.blocks + everybody.ratings / 16


def group(
    users: int,
    users_per_actor: int | Literal["auto"] | None,
    cpus: int,
    work: NDArray[np.float64] | None = None,
) -> list[range]:
    """Positions of consecutive users, ``users_per_actor`` at a time; ``auto`` makes one group per CPU; None
    does that for more than :data:`MOST_ALONE` users, and makes a group of each otherwise.

    work: (users,) if known; ``auto`` then cuts so that all groups have about the same work.
    """
    size = _group_size(users, users_per_actor, cpus)
    shares = users_per_actor == "auto" or (users_per_actor is None and users > MOST_ALONE)
    if not shares or work is None:
        return [range(users)[at : at + size] for at in range(0, users, size)]
    groups = actor_count(users, users_per_actor, cpus)
    done = np.cumsum(work) - work / 2
    ends = np.searchsorted(done, done[-1] * np.arange(1, groups) / groups)
    cuts = [0, *np.clip(ends, np.arange(1, groups), users - groups + np.arange(1, groups)).tolist(), users]
    return [range(first, stop) for first, stop in itertools.pairwise(cuts)]


def actor_count(users: int, users_per_actor: int | Literal["auto"] | None, cpus: int) -> int:
    """How many groups :func:`group` would make."""
    return -(-users // _group_size(users, users_per_actor, cpus))


def _group_size(users: int, users_per_actor: int | Literal["auto"] | None, cpus: int) -> int:
    if users_per_actor is None:
        users_per_actor = 1 if users <= MOST_ALONE else "auto"
    return -(-users // cpus) if users_per_actor == "auto" else users_per_actor


@dataclass(frozen=True)
class Memory:
    """Bytes that a process of ours takes.

    actor, server: a process without users, and the server. user: each user that an actor hosts. ray: what
    Ray and the driver take, if there are processes.
    """

    actor: int
    user: int
    server: int
    ray: int = 0

    def total(self, actors: int, users: int) -> int:
        """Of all actors: what a cluster must have left."""
        return actors * self.actor + users * self.user + self.server

    def whole(self, actors: int, users: int) -> int:
        """Of a whole simulation."""
        return self.ray + self.total(actors, users)


def memory_of(plan: Plan) -> Memory:
    """An actor holds what its key takes and, thrice, the tables, and may add up uploads; a user its
    ratings, its vector twice, and what is listed of its upload; the server ciphertexts as numbers and, twice,
    on the wire."""
    blocks, sparsity = plan.terms.blocks, plan.terms.part_text_sparsity
    matrix, wire = 8 * blocks.count * blocks.columns, plan.scheme.block_bytes(blocks.shape)
    ratings = plan.population.mean_ratings
    rows = uploaded_count(round(ratings), blocks.items, sparsity)
    return Memory(
        actor=WORKER_BYTES + plan.scheme.memory_bytes() + 3 * matrix + wire * blocks.count,
        user=_USER_OBJECTS_BYTES
        + 2 * 8 * blocks.width
        + round(_RATING_BYTES * ratings)
        + plan.scheme.listed_bytes(rows, sparsity == 0),
        ray=RAY_BYTES if plan.scenario.cluster.backend == "ray" else 0,
        server=WORKER_BYTES + 3 * wire * blocks.count,
    )


def check_process(needed: float, users: int, items: int) -> None:
    """Refuse what one process cannot hold, before it allocates anything.

    needed: bytes of the arrays that users, items and columns make.
    """
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > here:
        raise FedMFError(
            f"ratings: {users:,} users and {items:,} items take about {needed / 1e9:,.1f} GB in one process "
            f"and this machine has {here / 1e9:.1f} GB: take fewer users or items, or fewer model.factors"
        )


def check_memory(actors: int, users: int, memory: Memory, memory_bytes: float | None) -> None:
    """Refuse a placement that cannot fit, before the first actor starts.

    memory_bytes: of the cluster, or None if actors are not processes.
    """
    needed = memory.total(actors, users)
    if memory_bytes is None or needed <= memory_bytes:
        return
    left = memory_bytes - memory.total(0, users)
    if left < memory.actor:
        raise FedMFError(
            f"cluster: {users} users and a server need about {memory.total(1, users) / 1e9:.1f} GB even in "
            f"one actor, the cluster offers {memory_bytes / 1e9:.1f} GB: take fewer users, items or factors"
        )
    fitting = int(left // memory.actor)
    raise FedMFError(
        f"cluster: {actors} user actors and a server need about {needed / 1e9:.1f} GB and the cluster offers "
        f"{memory_bytes / 1e9:.1f} GB: set cluster.users_per_actor to {-(-users // fitting)} or more, "
        "or to auto"
    )
