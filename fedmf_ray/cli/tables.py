"""Tables of results: of estimates and of audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from fedmf_ray.cli.amounts import duration, size
from fedmf_ray.cli.console import escaped, out

if TYPE_CHECKING:
    from fedmf_ray.study.estimate import Estimate
    from fedmf_ray.study.scoring import Finding


def show_estimate(estimated: Estimate) -> None:
    """The costs per round under the names of a run's columns, and the totals of all rounds."""
    out.print(escaped(f"{estimated.users:,} users in {estimated.actors:,} actors, {estimated.layout}"))
    table = _table("CPU of a round", "calls", "µs per call", "pieces", "µs per piece", "s", "")
    for step in estimated.steps:
        fixed, each = (f"{1e6 * cost:,.6g}" for cost in step.line)
        counts = f"{step.calls:,}", fixed, f"{step.pieces:,}", each
        table.add_row(step.name, *counts, _seconds(step.cpu_s), _WORK[step.name])
    table.add_row("together", "", "", "", "", _seconds(estimated.deployed_cpu_s), "users' devices and server")
    out.print(table)
    out.print(
        "s = calls × µs per call + pieces × µs per piece, tags included; µs are measured here", style="dim"
    )
    table = _table("per round, estimated", "", "")
    for column, value in estimated.row.items():
        if isinstance(value, int | float) and column.endswith(("_s", "_s_max", "_s_mean", "_bytes_total")):
            amount = size(value) if "bytes" in column else f"{_seconds(value)} s"
            table.add_row(column, amount, _MEANINGS.get(column, ""))
    out.print(table)
    for other in estimated.others:
        shown = ("protocol_s", "upload_bytes_total", "download_bytes_total")
        costs = (size(other.row[key]) if "bytes" in key else f"{_seconds(other.row[key])} s" for key in shown)
        which = f"round {other.first}" + (f" and {other.rounds - 1} like it" if other.rounds > 1 else "")
        named = ", ".join(f"{key} {cost}" for key, cost in zip(shown, costs, strict=True))
        out.print(f"{which}, in which users add to other tables, estimated: {named}")
    table = _table(f"{estimated.rounds:,} rounds, estimated", "", "")
    for name, value in estimated.totals.items():
        amount = size(value) if "bytes" in name else f"{_seconds(value)} s"
        if "bytes" not in name and value >= _LONG_S:
            amount += f" ({duration(value)})"
        table.add_row(name, amount, _MEANINGS.get(name, ""))
    out.print(table)


def _seconds(value: float) -> str:
    """To the microsecond: one notation, so that sums can be done by hand."""
    return f"{value:,.6f}"


def show_estimates(estimates: list[tuple[dict[str, Any], Estimate]]) -> None:
    """One line per cell of a study."""
    columns = ("protocol_s", "user_cpu_s_max", "server_cpu_s", "upload_bytes_total", "download_bytes_total")
    keys = [key.rpartition(".")[2] for key in estimates[0][0]]
    table = _table(*keys, *(column.replace("bytes", "mb") for column in columns), "whole run")
    for values, estimated in estimates:
        costs = (estimated.row[column] / (1e6 if "bytes" in column else 1) for column in columns)
        wall = duration(estimated.totals["simulation_wall_s"])
        table.add_row(*map(escaped, values.values()), *(f"{cost:,.4g}" for cost in costs), wall)
    out.print(table)
    wall_s = sum(estimated.totals["simulation_wall_s"] for _, estimated in estimates)
    out.print(f"estimated costs per round; the study takes about {duration(wall_s)} here, without set-up")


def show_findings(findings: Sequence[tuple[dict[str, Any], Finding]]) -> None:
    """One line per attack; a share that does not apply is left empty."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.2f} %"

    def recovered(found: Finding) -> str:
        unknown = "all: readable" if found.readable else "unknown"
        return unknown if found.recovered is None else share(found.recovered)

    keys = list(findings[0][0]) if findings else []
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in (*(key.rpartition(".")[2] for key in keys), "adversary", "attack"):
        table.add_column(name)
    for name in (
        "round",
        "rounds needed",
        "ratings recovered",
        "of",
        "users",
        "rated: precision",
        "recall",
        "CPU s",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for values, found in findings:
        table.add_row(
            *map(escaped, values.values()), found.adversary, found.attack, str(found.round),
            str(found.rounds), recovered(found), f"{found.ratings:,}", f"{found.users:,}",
            share(found.rated_precision), share(found.rated_recall), f"{found.cpu_s:.3g}",
        )  # fmt: skip
    out.print(table)
    if any(found.readable and found.recovered is None for _, found in findings):
        out.print(
            "all: readable = the scheme lets the adversary read every upload. No attack here is known for "
            "the rule, so its ratings count as given away."
        )


def _table(first: str, *others: str) -> Table:
    """Figures aligned to the right; a last column without a name holds words, aligned to the left."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for at, name in enumerate(others):
        text = not name and at
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    return table


_LONG_S = 120.0
"""From here on seconds are also said in minutes or hours."""

_WORK = {
    "decrypt": "every user reads the item matrix; a piece is a ciphertext or a value",
    "credit": "every user checks whose uploads are in it; a piece is an uploader",
    "weigh": "sealers check a part of it each; a piece is a ciphertext or a value",
    "settle": "one user puts these together; a piece is a part",
    "seal": "sealers make seals, every user checks those of what it downloads",
    "open": "every user opens what it rated",
    "update": "every user computes its steps; a piece is a rating",
    "passing": "and adds to a table that is there in some rounds only",
    "encrypt": "every user protects them",
    "receive": "the server checks an upload and adds it",
    "reopen": "one user opens the sums, or a committee",
    "unmask": "for that, each uploaded piece",
    "publish": "the server writes the item matrix",
}

_MEANINGS = {
    "protocol_s": "as deployed: the sum of slowest_*, server_cpu_s, open_s and seal_s",
    "server_cpu_s": "adding all uploads, publishing the items",
    "user_cpu_s_max": "on a device as fast as this machine",
    "wall_s": "this simulation, on the CPUs of this machine",
    "deployed_cpu_s": "CPU of all users' devices and the server",
    "simulation_cpu_s": "CPU of this simulation: items decrypted once per actor",
    "simulation_wall_s": "on the CPUs of this machine",
}
