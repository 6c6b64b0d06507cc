"""Memory of user actors and of the driver, as reported by the operating system.

FEDMF_DATA=... python benchmarks/memory.py [--items 640]

Loads ml-latest-small, starts real user actors with 3072-bit keys, and has each of them open a round and
train. Prints the proportional set size of the largest actor (each shared page is divided among the
processes that share it), then the driver's own peak. Linux only: it reads /proc.
"""

from __future__ import annotations

import resource
from pathlib import Path

import click
import numpy as np

from fedmf_ray.engine.answers import Hosting
from fedmf_ray.engine.enrolment import Enrolment, Newcomer
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.participation import IN_TIME
from fedmf_ray.planning.plan import Plan
from fedmf_ray.scenario import file as scenario_file

SCENARIO = Path(__file__).parent.parent / "scenarios" / "movielens-part.yaml"
USERS = 7


def proportional_mb() -> float:
    """PSS of this process in MB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no Pss in smaps_rollup")


class Empty:
    """A worker that has only our imports."""

    def weigh(self) -> float:
        return proportional_mb()


class WeighedUserActor(UserActor):
    """A user actor that reports its own memory."""

    def weigh(self) -> float:
        return proportional_mb()


@click.command()
@click.option("--items", default=640, show_default=True, help="Rows of the item matrix to decrypt.")
def main(items: int) -> None:
    plan = Plan.of(scenario_file.load(SCENARIO, [f"ratings.select.items={items}", "test.last=0"]))
    backend = RayBackend("local")
    try:
        empty = backend.start(Empty)
        empty_mb = backend.get(backend.call(empty, "weigh"))
        hosting = Hosting(plan.scheme.lightweight, combine=False, sealed=backend.apart)
        actors = [backend.start(WeighedUserActor, plan.terms, hosting) for _ in range(USERS)]
        enrolment = Enrolment(plan, backend, None)
        enrolment.found(actors[0], "create_keys")
        enrolment.join(actors[0], [Newcomer(actor, range(at, at + 1)) for at, actor in enumerate(actors)])
        start, _ = backend.call_split(2, actors[0], "encrypt_initial_items")
        backend.get([backend.call(actor, "open_round", 0, start) for actor in actors])
        fates = np.array([IN_TIME], np.int8)
        backend.get([backend.call_split(3, actor, "train", 0, fates, False)[1] for actor in actors])
        largest = max(backend.get([backend.call(actor, "weigh") for actor in actors]))
    finally:
        backend.close()
    driver = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{layout_line(plan)}; {len(plan.population.user_ids)} users loaded, {items} items")
    print(f"worker with our imports only     {empty_mb:6.0f} MB")
    print(f"user actor after a round         {largest:6.0f} MB (largest of {USERS}; target: under 120)")
    print(f"driver, ml-latest-small loaded   {driver:6.0f} MB (peak; target: under 400)")


if __name__ == "__main__":
    main()
