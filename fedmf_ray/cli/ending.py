"""What a person sees when a run has ended: quality, protection, cost, and where to go from here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from fedmf_ray.cli.amounts import duration, size
from fedmf_ray.cli.console import escaped, stderr
from fedmf_ray.cli.screens import losses
from fedmf_ray.report.names import is_central
from fedmf_ray.report.protecting import who_reads
from fedmf_ray.report.runs import Run, read_run

Lines = Iterator[str]


def show_run(folder: Path) -> None:
    """A table of three parts: the last round's quality, who can read what, and mean costs of a round."""
    run = read_run(folder)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for title, lines in (("quality", _quality(run)), ("protection", _protection(run)), ("cost", _cost(run))):
        for at, line in enumerate(lines):
            table.add_row("" if at else title, escaped(line))
    stderr.print(table)


def show_next(folder: Path, picture: Path) -> None:
    """Where the picture is, and three commands to go on with."""
    here = _from_here(folder)
    stderr.print(f"\n[bold]picture[/]     {escaped(_from_here(picture))}", soft_wrap=True)
    commands = [f"fedmf-ray report {here}", f"fedmf-ray compare {here} OTHER_RUN"]
    run = read_run(folder)
    if not is_central(run.scenario) and run.scenario["cluster"].get("checkpoint_every") != "never":
        commands = [f"fedmf-ray recommend {here} --user {_somebody(run)}", *commands]
    for at, command in enumerate(commands):
        stderr.print(f"[bold]{'' if at else 'next':12}[/]{escaped(command)}", soft_wrap=True)


def _quality(run: Run) -> Lines:
    last, count = run.rounds.iloc[-1], len(run.rounds)
    ended = f"{run.summary.get('status', 'not ended')} after {count} round{'s' * (count != 1)}"
    tested = "" if last["test_rmse"] == last["test_rmse"] else " (nothing was held out: test)"
    yield f"{losses({'train_mse': last['train_mse'], 'test_rmse': last['test_rmse']})}{tested}; {ended}"
    if early := run.summary.get("early_stopping"):
        yield f"best in round {early['best_round']}: {early['best_rmse']:.4f} on validation ratings"
    if ranking := run.summary.get("ranking"):
        names = [name for name in ranking if name not in ("k", "users") and ranking[name] is not None]
        shown = ", ".join(f"{name} {ranking[name]:.4f}" for name in names)
        yield f"top {ranking['k']}: {shown} ({ranking['users']:,} users)"


def _protection(run: Run) -> Lines:
    yield from who_reads(run.scenario)


def _cost(run: Run) -> Lines:
    mean = run.rounds.mean(numeric_only=True)
    if "protocol_s" in mean:
        basis = run.rounds["basis"].iloc[-1] if "basis" in run.rounds else "measured"
        yield (
            f"{duration(mean['protocol_s'])} per round as deployed: slowest user + server "
            f"(protocol_s, {basis})"
        )
        up, down = size(mean["upload_bytes_total"]), size(mean["download_bytes_total"])
        yield f"{up} up and {down} down per round, all users together (counted)"
    if lists := run.summary.get("lists"):
        down, cpu_s = size(lists["download_bytes_mean"]), duration(lists["decrypt_cpu_s_mean"])
        yield f"{down} down and {cpu_s} of CPU more for each user who wants a list ({lists['basis']})"
    yield f"{duration(mean['wall_s'])} per round in this simulation (wall_s, measured)"


def _somebody(run: Run) -> str:
    """The id of a user, if ids are numbers for sure: a run folder knows no names of users."""
    source: Mapping[str, Any] = run.scenario["ratings"]
    return "1" if source.get("source") == "synthetic" else "ID"


def _from_here(path: Path) -> str:
    """The path as a person would type it in this folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.startswith("..") else relative
