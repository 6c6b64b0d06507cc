"""Tables of results: of a run, of estimates, of audits, and the titles that a user would be shown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from fedmf_ray.cli.console import escaped, out, stderr

if TYPE_CHECKING:
    from fedmf_ray.engine.recommend import Recommendations, Shown
    from fedmf_ray.study.estimate import Estimate
    from fedmf_ray.study.scoring import Finding


def show_run(folder: Path) -> None:
    """The most important figures of a run: losses of the last round, mean costs per round."""
    from fedmf_ray.report.runs import read_run

    run = read_run(folder)
    last, mean = run.rounds.iloc[-1], run.rounds.mean(numeric_only=True)
    charged = " (charged)" if last.get("basis") == "charged" else ""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    formats: dict[str, tuple[Any, Callable[[float], str]]] = {
        "train_mse": (last, lambda x: f"{x:.4f}"),
        "test_rmse": (last, lambda x: f"{x:.4f}"),
        "protocol_s": (mean, lambda x: f"{x:.3g} s per round{charged}: slowest user + server, as deployed"),
        "wall_s": (mean, lambda x: f"{x:.3g} s per round: this simulation"),
        "upload_bytes_total": (mean, lambda x: f"{x / 1e6:.3g} MB per round"),
        "download_bytes_total": (mean, lambda x: f"{x / 1e6:.3g} MB per round"),
    }
    table.add_row("status", f"{run.summary['status']} after {len(run.rounds)} rounds")
    for column, (source, show) in formats.items():
        if column in source and source[column] == source[column]:
            table.add_row(column, show(float(source[column])))
    if ranking := run.summary.get("ranking"):
        shown = ", ".join(
            f"{name} {ranking[name]:.4f}" for name in ("hit_rate", "precision", "recall", "ndcg")
        )
        table.add_row(f"top {ranking['k']}", f"{shown} ({ranking['users']} users)")
    stderr.print(table)


def show_recommendations(found: Recommendations) -> None:
    """Three lists side by side: what the user rated highest, and its lists before and after training."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    after = f"after {found.rounds} rounds"
    for name in (f"user {escaped(found.user)} rated highest", "shown before training", after):
        table.add_column(name, max_width=48, overflow="ellipsis", no_wrap=True)
    for liked, before, now in itertools.zip_longest(found.liked, found.before, found.after):
        table.add_row(*("" if one is None else _stars(one) for one in (liked, before, now)))
    out.print(table)
    if any(one.held_out is not None for one in (*found.before, *found.after)):
        out.print("★ rated by this user, and held out from training", style="dim")
    if found.popularity:
        out.print(
            f"after training, sorted by stars + {found.popularity:g} ln(1 + number of raters) "
            "(metrics.popularity)",
            style="dim",
        )


def show_estimate(estimated: Estimate) -> None:
    """The costs per round under the names of a run's columns, and the totals of all rounds."""
    out.print(escaped(f"{estimated.users:,} users in {estimated.actors:,} actors, {estimated.layout}"))
    table = _table("unit costs measured here", "", "")
    for name, size in _UNITS.items():
        line = getattr(estimated.unit, name)
        if not any(line):
            continue  # no user opens sums, or checks credits
        meaning = f"per {size}, plus {1e6 * line.fixed:,.3g} µs per call"
        table.add_row(name, f"{1e6 * line.each:,.4g} µs", meaning)
    out.print(table)
    table = _table("per round, estimated", "", "")
    for column, value in estimated.row.items():
        if isinstance(value, int | float) and column.endswith(("_s", "_s_max", "_s_mean", "_bytes_total")):
            amount = _size(value) if "bytes" in column else f"{value:,.4g} s"
            table.add_row(column, amount, _MEANINGS.get(column, ""))
    out.print(table)
    table = _table(f"{estimated.rounds:,} rounds, estimated", "", "")
    for name, value in estimated.totals.items():
        amount = _size(value) if "bytes" in name else _duration(value)
        table.add_row(name, amount, _MEANINGS.get(name, ""))
    out.print(table)


def show_estimates(estimates: list[tuple[dict[str, Any], Estimate]]) -> None:
    """One line per cell of a study."""
    columns = ("protocol_s", "user_cpu_s_max", "server_cpu_s", "upload_bytes_total", "download_bytes_total")
    keys = [key.rpartition(".")[2] for key in estimates[0][0]]
    table = _table(*keys, *(column.replace("bytes", "mb") for column in columns), "whole run")
    for values, estimated in estimates:
        costs = (estimated.row[column] / (1e6 if "bytes" in column else 1) for column in columns)
        wall = _duration(estimated.totals["simulation_wall_s"])
        table.add_row(*map(escaped, values.values()), *(f"{cost:,.4g}" for cost in costs), wall)
    out.print(table)
    wall_s = sum(estimated.totals["simulation_wall_s"] for _, estimated in estimates)
    out.print(f"estimated costs per round; the study takes about {_duration(wall_s)} here, without set-up")


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


def _stars(shown: Shown) -> str:
    mark = "" if shown.held_out is None else f"[bold green] ★ {shown.held_out:g}[/]"
    return f"{shown.stars:4.2f}{mark} {escaped(shown.title)}"


def _table(first: str, *others: str) -> Table:
    """Figures aligned to the right; a last column without a name holds words, aligned to the left."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for at, name in enumerate(others):
        text = not name and at
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    return table


def _size(amount: float) -> str:
    """Bytes in powers of 1,000, as in ``45.1 kB``."""
    power = min(5, int(math.log10(max(amount, 1)) / 3))
    return f"{amount / 1000**power:,.4g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, as in ``2.5 min``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


_UNITS = {
    "decrypt": "ciphertext, with decoding",
    "update": "rating",
    "encrypt": "ciphertext, with encoding",
    "receive": "ciphertext, to check and add it",
    "publish": "ciphertext of the item matrix",
    "reopen": "value of the item matrix, to open the sums",
    "unmask": "uploaded value, to open the sums",
}

_MEANINGS = {
    "protocol_s": "slowest user + server + opener, as deployed: the sum of the next seven",
    "server_cpu_s": "adding all uploads, publishing the items",
    "user_cpu_s_max": "on a device as fast as this machine",
    "wall_s": "this simulation, on the CPUs of this machine",
    "deployed_cpu_s": "CPU of all users' devices and the server",
    "simulation_cpu_s": "CPU of this simulation: items decrypted once per actor",
    "simulation_wall_s": "on the CPUs of this machine",
}
