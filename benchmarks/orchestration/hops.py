"""What calls between Ray actors take by themselves: the chain of a round without any work in it.

python benchmarks/orchestration/hops.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import ray

TURNS = 60


@ray.remote(num_cpus=0)
class Actor:
    """Answers with a matrix, or with a small value."""

    def __init__(self, numbers: int) -> None:
        self._matrix = np.zeros(numbers)

    def matrix(self, *_: object) -> np.ndarray:
        return self._matrix + 1

    def small(self, *_: object) -> int:
        return 1


def milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TURNS):
        started = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - started))
    return statistics.median(taken)


def main() -> None:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    for numbers in (1_000, 168_200):  # the latter as in the comparison with other simulators
        users, server = [Actor.remote(numbers) for _ in range(2)], Actor.remote(numbers)
        ray.get([actor.matrix.remote() for actor in (*users, server)])

        def with_a_server(users: list = users, server: object = server) -> None:
            for actor in users:
                server.small.remote(actor.matrix.remote())
            published = server.matrix.remote()
            ray.get([actor.small.remote(published) for actor in users])

        def bare(users: list = users, numbers: int = numbers) -> None:
            published = ray.put(np.zeros(numbers))
            ray.get([actor.matrix.remote(published) for actor in users])

        print(
            f"{8 * numbers / 1e6:.2f} MB: users, server, users {milliseconds(with_a_server):.1f} ms; "
            f"driver, users, driver {milliseconds(bare):.1f} ms"
        )
    ray.shutdown()


if __name__ == "__main__":
    main()
