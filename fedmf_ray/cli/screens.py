"""What a person sees in a terminal: progress bars, tables of results, one-line messages."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

if TYPE_CHECKING:
    from typing_extensions import Self

    from fedmf_ray.cli.destination import Destination
    from fedmf_ray.study.adversaries import Finding
    from fedmf_ray.study.estimate import Estimate

stderr = Console(stderr=True, highlight=False)
"""Progress and remarks; results go to :data:`out`."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


class RunScreen:
    """Draws the progress of a run: a bar over rounds and one over users, nothing else."""

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=stderr, transient=True)
        self._rounds = self._bars.add_task(f"{name}: starting", total=None)
        self._users = self._bars.add_task("users", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        stderr.print(text, soft_wrap=True)

    def users(self, done: int, total: int) -> None:
        self._bars.update(self._users, completed=done, total=total, visible=True)

    def round(self, row: dict[str, Any], rounds: int) -> None:
        loss = f"train MSE {row['train_mse']:.4f}"
        self._bars.update(self._rounds, completed=row["round"] + 1, total=rounds, description=loss)


class StudyScreen(RunScreen):
    """A bar over cells, with the time left at the pace so far, above those of the running cell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._bars.columns = (
            *self._bars.columns,
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._cells = self._bars.add_task(name, total=None)

    def note(self, text: str) -> None:
        """A study's cells would say the same thing many times."""

    def cell(self, done: int, total: int, name: str) -> None:
        self._bars.update(self._cells, completed=done, total=total, description=f"{done} of {total} cells")
        self._bars.reset(self._rounds, description=name, total=None)
        self._bars.reset(self._users, visible=False, total=None)


class RunLog:
    """The same as lines, for a file or the log of a job, where nobody can draw a bar twice: one a round.

    Rounds that take milliseconds leave some out; the first and the last are always there.
    """

    _PAUSE_S = 0.2

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def note(self, text: str) -> None:
        stderr.print(text, soft_wrap=True)

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None:
        number, now = row["round"] + 1, time.monotonic()
        if number in (1, rounds) or now - self._told >= self._PAUSE_S:
            self._told = now
            line = f"round {number} of {rounds}: train MSE {row['train_mse']:.4f}, {row['wall_s']:.3g} s"
            stderr.print(line, soft_wrap=True)


class StudyLog(RunLog):
    """A line a cell, too."""

    def note(self, text: str) -> None:
        """A study's cells would say the same thing many times."""

    def cell(self, done: int, total: int, name: str) -> None:
        stderr.print(f"{self._name}: {done} of {total} cells, now {plain(name)}", soft_wrap=True)


def run_screen(name: str) -> RunScreen | RunLog:
    """What suits where standard error goes."""
    return RunScreen(name) if _redraws() else RunLog(name)


def study_screen(name: str) -> StudyScreen | StudyLog:
    return StudyScreen(name) if _redraws() else StudyLog(name)


def _redraws() -> bool:
    """Rich alone would believe FORCE_COLOR, which some continuous integration sets for its logs."""
    return stderr.is_interactive and sys.stderr.isatty()


def draw_run(folder: Path) -> None:
    from fedmf_ray.report.convergence import convergence
    from fedmf_ray.report.figures import save
    from fedmf_ray.report.runs import read_run

    save(convergence([read_run(folder)]), folder / "plots" / "convergence.png")


def show_run(folder: Path, place: Destination | None = None) -> None:
    """The figures that a person looks for first, and where the rest is."""
    from fedmf_ray.report.runs import read_run

    run = read_run(folder)
    last, mean = run.rounds.iloc[-1], run.rounds.mean(numeric_only=True)
    charged = " (charged)" if last.get("basis") == "charged" else ""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    formats: dict[str, tuple[Any, Callable[[float], str]]] = {
        "train_mse": (last, lambda x: f"{x:.4f}"),
        "test_rmse": (last, lambda x: f"{x:.4f}"),
        "protocol_s": (mean, lambda x: f"{x:.3g} s a round{charged}: slowest user + server, as deployed"),
        "wall_s": (mean, lambda x: f"{x:.3g} s a round: this simulation"),
        "upload_bytes_total": (mean, lambda x: f"{x / 1e6:.3g} MB a round"),
        "download_bytes_total": (mean, lambda x: f"{x / 1e6:.3g} MB a round"),
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
    show_place(folder, place)


def show_place(folder: Path, place: Destination | None = None) -> None:
    """Bring a folder to the place that was asked for, if it is not there yet, and print that place."""
    click.echo(place.deliver(folder) if place else folder)
    if place and place.left:
        stderr.print(f"[yellow]note:[/] what observe recorded is not copied: {place.left}", soft_wrap=True)


def show_estimate(foretold: Estimate) -> None:
    """A round's costs under the names that a run gives them, and the totals of all rounds."""
    out.print(f"{foretold.users:,} users in {foretold.actors:,} actors, {foretold.layout}")
    table = _table("unit costs measured here", "", "")
    for name, of in _UNITS.items():
        line = getattr(foretold.unit, name)
        table.add_row(name, f"{1e6 * line.each:,.4g} µs", f"{of}, and {1e6 * line.fixed:,.3g} µs each time")
    out.print(table)
    table = _table("a round, estimated", "", "")
    for column, value in foretold.row.items():
        if isinstance(value, int | float) and column.endswith(("_s", "_s_max", "_s_mean", "_bytes_total")):
            amount = _size(value) if "bytes" in column else f"{value:,.4g} s"
            table.add_row(column, amount, _MEANINGS.get(column, ""))
    out.print(table)
    table = _table(f"{foretold.rounds:,} rounds, estimated", "", "")
    for name, value in foretold.totals.items():
        amount = _size(value) if "bytes" in name else _duration(value)
        table.add_row(name, amount, _MEANINGS.get(name, ""))
    out.print(table)


def show_estimates(estimates: list[tuple[dict[str, Any], Estimate]]) -> None:
    """A line per cell of a study."""
    columns = ("protocol_s", "user_cpu_s_max", "server_cpu_s", "upload_bytes_total", "download_bytes_total")
    keys = [key.rpartition(".")[2] for key in estimates[0][0]]
    table = _table(*keys, *(column.replace("bytes", "mb") for column in columns), "whole study")
    for values, foretold in estimates:
        costs = (foretold.row[column] / (1e6 if "bytes" in column else 1) for column in columns)
        wall = _duration(foretold.totals["simulation_wall_s"])
        table.add_row(*map(str, values.values()), *(f"{cost:,.4g}" for cost in costs), wall)
    out.print(table)
    wall_s = sum(foretold.totals["simulation_wall_s"] for _, foretold in estimates)
    out.print(f"estimated costs of a round; the study takes about {_duration(wall_s)} here, without set-up")


def show_findings(findings: Sequence[tuple[dict[str, Any], Finding]]) -> None:
    """A line per attack; a share that does not apply is left empty."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.2f} %"

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
            *map(str, values.values()), found.adversary, found.attack, str(found.round), str(found.rounds),
            share(found.recovered), f"{found.ratings:,}", f"{found.users:,}", share(found.rated_precision),
            share(found.rated_recall), f"{found.cpu_s:.3g}",
        )  # fmt: skip
    out.print(table)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for at, name in enumerate(others):
        text = not name and at  # only the last column of a list of figures holds words
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    return table


def _size(amount: float) -> str:
    """Bytes for people, in powers of 1,000."""
    power = min(5, int(math.log10(max(amount, 1)) / 3))
    return f"{amount / 1000**power:,.4g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


_UNITS = {
    "decrypt": "a ciphertext, decoded",
    "update": "a rating",
    "encrypt": "a ciphertext, encoded",
    "receive": "a ciphertext: checked and added",
    "publish": "a ciphertext of the item matrix",
}

_MEANINGS = {
    "protocol_s": "slowest user + server, as deployed: the sum of the next six",
    "server_cpu_s": "adding all uploads, publishing the items",
    "user_cpu_s_max": "on a device as fast as this machine",
    "wall_s": "this simulation, on the CPUs that are here",
    "deployed_cpu_s": "CPU of all users' devices and the server",
    "simulation_cpu_s": "CPU of this simulation: items decrypted once an actor",
    "simulation_wall_s": "on the CPUs that are here",
}


def plain(message: object) -> str:
    """Brackets in a message are text, not markup."""
    return str(message).replace("[", r"\[")
