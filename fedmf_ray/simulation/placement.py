"""Which users share an actor, and whether the cluster can hold the actors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from fedmf_ray.errors import FedMFError

T = TypeVar("T")

WORKER_BYTES = 80 * 10**6
"""What a Ray worker with an empty `UserActor` takes (private and proportional pages), rounded up;
`benchmarks/memory.py` measures it."""


def group(users: Sequence[T], users_per_actor: int | Literal["auto"], cpus: int) -> list[Sequence[T]]:
    """Consecutive users, ``users_per_actor`` at a time; ``auto`` makes one group a CPU."""
    size = -(-len(users) // cpus) if users_per_actor == "auto" else users_per_actor
    return [users[at : at + size] for at in range(0, len(users), size)]


def check_memory(
    actors: int, users: int, actor_bytes: int, server_bytes: int, memory_bytes: float | None
) -> None:
    """Refuse a placement that cannot fit, before the first actor starts.

    actor_bytes, server_bytes: what a user actor and the server hold beyond an empty worker.
    memory_bytes: of the cluster, or None if actors are not processes.
    """
    server = WORKER_BYTES + server_bytes
    needed = actors * (WORKER_BYTES + actor_bytes) + server
    if memory_bytes is None or needed <= memory_bytes:
        return
    fitting = max(1, int((memory_bytes - server) // (WORKER_BYTES + actor_bytes)))
    raise FedMFError(
        f"cluster: {actors} user actors and a server need about {needed / 1e9:.1f} GB and the cluster offers "
        f"{memory_bytes / 1e9:.1f} GB: set cluster.users_per_actor to {-(-users // fitting)} or more, "
        "or to auto"
    )
