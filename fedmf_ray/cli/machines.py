"""The screen of a dry plan: a round over machines, where it saturates, and what would move the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from fedmf_ray.cli.amounts import duration
from fedmf_ray.cli.console import escaped, out

if TYPE_CHECKING:
    from fedmf_ray.study.machines import DryPlan, Phases

_WHAT = {
    "read": "users read the item matrix",
    "spread": "the matrix goes to each machine",
    "train": "users train",
    "driver": "one process makes all calls, beside the users",
    "gather": "uploads, or sums of them, go to the servers",
    "add": "servers add them",
    "open": "users open the sums",
    "publish": "servers publish",
}


def show_plan(plan: DryPlan, most: int, gbit: float) -> None:
    """A row per number of machines, doubled up to ``most``, then the variants there."""
    from fedmf_ray.study.machines import doubled

    kind = f"{plan.cpus} CPUs, {gbit:g} Gbit/s"
    out.print(_table(f"machines of {kind}", [(f"{count:,}", plan.on(count)) for count in doubled(most)]))
    out.print(
        f"every figure is estimated; the driver takes {1e6 * plan.driver.call_s:.0f} µs per call and "
        f"{1e6 * plan.driver.reference_s:.1f} µs per reference (measured here); the network is as given",
        style="dim",
    )
    limit = plan.saturated(most)
    if limit is None:
        out.print(f"estimated: not saturated: up to {most:,} machines, a doubling gains 10 % or more")
    else:
        longest = _WHAT[plan.on(2 * limit).limit]
        out.print(
            f"estimated: saturated at {limit:,} machine{'s' * (limit > 1)}: a doubling gains less than 10 %; "
            f"the longest part of a round is then: {longest}"
        )
    variants = [(name, other.on(most)) for name, other in plan.variants().items()]
    out.print(_table(f"what would move the limit at {most:,}", variants))


def _table(first: str, rows: list[tuple[str, Phases]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(escaped(first), justify="right")
    for name in ("round", *_WHAT):
        table.add_column(name, justify="right", no_wrap=True)
    for name, phases in rows:
        table.add_row(escaped(name), duration(phases.round_s), *map(duration, phases))
    return table
