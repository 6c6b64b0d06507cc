"""The command line: words into calls, errors into one line, results into a short table."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from fedmf_ray import __version__, scenario_file
from fedmf_ray.crypto.keys import key_warning
from fedmf_ray.errors import DivergenceError, FedMFError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from fedmf_ray.scenario import Scenario
    from fedmf_ray.study.audit import Finding
    from fedmf_ray.study.estimate import Estimate

_screen = Console(stderr=True, highlight=False)
_out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__)
def cli(debug: bool) -> None:
    """Simulate secure federated matrix factorisation (FedMF) on Ray."""


@cli.command()
@click.argument("file", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
              help="Where run folders go; made absolute at once.")  # fmt: skip
def run(file: Path, overrides: tuple[str, ...], results: Path) -> None:
    """Run a scenario; KEY=VALUE words override its keys, as in protocol.key_bits=2048."""
    from fedmf_ray.simulation.run import run as run_scenario

    results = results.expanduser().absolute()
    chosen = scenario_file.load(file, overrides)
    protected = chosen.model.algorithm == "fedmf" and chosen.protocol.costed != "plain"
    warning = key_warning(chosen.protocol.key_bits) if protected else None
    if warning:
        _screen.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    if chosen.model.init == "constant":
        _screen.print(
            "[yellow]note:[/] a constant start keeps the model at rank one (model.init: normal does not)"
        )
    with _RunScreen(chosen.name) as screen:
        folder = run_scenario(chosen, results, screen)
    _show(folder)
    _draw(folder)


@cli.command()
@click.argument("file", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="The study's own folder, instead of one in RESULTS."
)
def sweep(file: Path, overrides: tuple[str, ...], results: Path, folder: Path | None) -> None:
    """Run every cell of a scenario with a sweep; called again, run only what is missing."""
    from fedmf_ray.study import cells
    from fedmf_ray.study.sweep import run_study

    study = cells.load(file, overrides)
    with _StudyScreen(study.name) as screen:
        outcome = run_study(study, results.expanduser().absolute(), screen, folder)
    for state in outcome.unsound:
        _screen.print(f"[red]{state.status}:[/] {_plain(state.cell)}: {_plain(state.reason)}", soft_wrap=True)
    _screen.print(f"{len(outcome.states) - len(outcome.unsound)} of {len(outcome.states)} cells are sound")
    click.echo(outcome.path)
    if outcome.unsound:
        sys.exit(1)


@cli.command()
@click.argument("file", metavar="SCENARIO|STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--within", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Say how many machines simulate a round within this time.")  # fmt: skip
@click.option(
    "--cpus", type=click.IntRange(min=1), default=32, show_default=True, help="Of one such machine."
)
@click.option("--memory", type=click.FloatRange(min=0, min_open=True), default=128.0, show_default=True,
              metavar="GB", help="Of one such machine.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as CSV.")
def estimate(
    file: Path,
    overrides: tuple[str, ...],
    within: float | None,
    cpus: int,
    memory: float,
    output: Path | None,
) -> None:
    """Foretell what a scenario, or each cell of a study, costs; measures unit costs here, runs nothing."""
    from fedmf_ray.simulation.backends import open_backend
    from fedmf_ray.study import cells
    from fedmf_ray.study.estimate import estimate as foretell
    from fedmf_ray.study.estimate import write_rows

    if "sweep" in scenario_file.read(file, overrides):
        chosen = [(cell.keys, cell.scenario) for cell in cells.load(file, overrides).cells]
    else:
        chosen = [({}, scenario_file.load(file, overrides))]
    backend = open_backend(chosen[0][1].cluster)
    estimates = []
    try:
        for keys, scenario in chosen:
            with _screen.status(f"estimating {_plain(', '.join(map(str, keys.values())) or scenario.name)}"):
                estimates.append((keys, foretell(scenario, backend)))
    finally:
        backend.close()
    if len(estimates) == 1:
        _show_estimate(estimates[0][1])
    else:
        _show_estimates(estimates)
    if within is not None:
        for keys, foretold in estimates:
            where = f"{', '.join(map(str, keys.values()))}: " if keys else ""
            try:
                number = foretold.machines(cpus, memory, within)
                answer = f"{number:,} machine{'s' * (number > 1)} of {cpus} CPUs and {memory:g} GB"
            except FedMFError as error:
                answer = str(error)
            _out.print(f"{where}a simulated round within {within:g} s: {_plain(answer)}")
    if output:
        click.echo(write_rows(output, estimates))


@cli.command()
@click.argument("file", metavar="SCENARIO|STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--view", type=click.Path(path_type=Path), metavar="RUN",
              help="Attack what this run of the scenario recorded, instead of running it.")  # fmt: skip
@click.option("--scale", default="0.5:5:0.5", show_default=True, metavar="LOW:HIGH:STEP",
              help="The rating scale, which every adversary knows.")  # fmt: skip
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def audit(file: Path, overrides: tuple[str, ...], view: Path | None, scale: str, results: Path) -> None:
    """Run a scenario, or a study, and play the adversary on what `observe` lets it see.

    Prints how many ratings, and how much of who rated what, can be recovered; writes audit.json.
    """
    from analysis.audit import audit_picture
    from analysis.figures import save
    from analysis.runs import read_audit
    from fedmf_ray.study import audit as audits
    from fedmf_ray.study import cells
    from fedmf_ray.study.sweep import SOUND, run_study

    grid = _scale(scale)
    results = results.expanduser().absolute()
    findings: list[tuple[dict[str, Any], audits.Finding]] = []
    if "sweep" in scenario_file.read(file, overrides):
        if view:
            raise FedMFError("--view: is for one scenario, a study keeps its own runs")
        study = cells.load(file, overrides)
        _check_observed(cell.scenario for cell in study.cells)
        with _StudyScreen(study.name) as screen:
            outcome = run_study(study, results, screen)
        folder = outcome.path
        for state in outcome.states:
            if state.status in SOUND:
                with _screen.status(f"attacking {_plain(state.cell)}"):
                    found = audits.audit_run(folder / "cells" / state.cell.name, grid)
                findings += [(state.cell.keys, one) for one in found]
            else:
                _screen.print(
                    f"[red]{state.status}:[/] {_plain(state.cell)}: {_plain(state.reason)}", soft_wrap=True
                )
    else:
        chosen = scenario_file.load(file, overrides)
        _check_observed([chosen])
        if view is None:
            from fedmf_ray.simulation.run import run as run_scenario

            with _RunScreen(chosen.name) as screen:
                view = run_scenario(chosen, results, screen)
        folder = view
        with _screen.status("attacking"):
            findings = [({}, one) for one in audits.audit_run(view, grid, chosen)]
    _show_findings(findings)
    click.echo(audits.write(folder, findings))
    save(audit_picture(read_audit(folder)), folder / "audit.png")


def _check_observed(scenarios: Iterable[Scenario]) -> None:
    if any(scenario.observe is None for scenario in scenarios):
        raise FedMFError(
            "observe: is missing: say what the adversary sees, as in observe=server or observe=user"
        )


def _scale(text: str) -> NDArray[np.float64]:
    import numpy as np

    try:
        low, high, step = map(float, text.split(":"))
        if not low < high or step <= 0:
            raise ValueError
    except ValueError:
        raise FedMFError(f"--scale {text}: reads LOW:HIGH:STEP, as in 0.5:5:0.5") from None
    return np.linspace(low, high, round((high - low) / step) + 1)


@cli.command()
@click.argument("path", metavar="RUN|STUDY", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Instead of report.html in the folder.")
def report(path: Path, output: Path | None) -> None:
    """Write one self-contained page about a run or a study."""
    from analysis.report import report as write_report

    click.echo(write_report(path, output))


@cli.group()
def data() -> None:
    """Fetch MovieLens data sets, or list them."""


@data.command()
@click.argument("name")
@click.option("--mirror", metavar="URL", help="Another place to download from: a URL, or a folder.")
def fetch(name: str, mirror: str | None) -> None:
    """Download a MovieLens data set into the cache."""
    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bars(*columns, console=_screen, transient=True) as bars:
        task = bars.add_task(name, total=None)
        options = {"base_url": mirror} if mirror else {}
        folder = downloads.fetch(
            name,
            cache_folder(),
            progress=lambda done, total: bars.update(task, completed=done, total=total),
            **options,
        )
    click.echo(folder)


@data.command("list")
def list_() -> None:
    """List the data sets and whether they are here."""
    from fedmf_ray.ratings import fetch as downloads
    from fedmf_ray.ratings.movielens import cache_folder

    cache = cache_folder()
    click.echo(f"cache: {cache}")
    for name, ratings in downloads.available().items():
        here = "here" if downloads.is_here(name, cache) else f"not here (fedmf-ray data fetch {name})"
        click.echo(f"{name:16} {ratings:>11,} ratings  {here}")


@cli.command()
def doctor() -> None:
    """Check that this machine can run simulations; says what to do where it cannot."""
    from fedmf_ray.doctor import examine

    sound = True
    for check in examine():
        sound &= check.sound
        mark = "[green]ok[/]  " if check.sound else "[red]FAIL[/]"
        _screen.print(
            f"{mark} {check.subject:10} {check.finding}" + ("" if check.sound else f" -> {check.remedy}")
        )
    if not sound:
        sys.exit(1)


class _RunScreen:
    """Draws the progress of a run: a bar over rounds and one over users, nothing else."""

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=_screen, transient=True)
        self._rounds = self._bars.add_task(f"{name}: starting", total=None)
        self._users = self._bars.add_task("users", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        _screen.print(text, soft_wrap=True)

    def users(self, done: int, total: int) -> None:
        self._bars.update(self._users, completed=done, total=total, visible=True)

    def round(self, row: dict[str, Any], rounds: int) -> None:
        loss = f"train MSE {row['train_mse']:.4f}"
        self._bars.update(self._rounds, completed=row["round"] + 1, total=rounds, description=loss)


class _StudyScreen(_RunScreen):
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


def _draw(folder: Path) -> None:
    from analysis.convergence import convergence
    from analysis.figures import save
    from analysis.runs import read_run

    save(convergence([read_run(folder)]), folder / "plots" / "convergence.png")


def _show(folder: Path) -> None:
    """The figures that a person looks for first, and where the rest is."""
    from analysis.runs import read_run

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
    _screen.print(table)
    click.echo(folder)


def _show_estimate(foretold: Estimate) -> None:
    """A round's costs under the names that a run gives them, and the totals of all rounds."""
    _out.print(f"{foretold.users:,} users in {foretold.actors:,} actors, {foretold.layout}")
    table = _table("unit costs measured here", "", "")
    for name, of in _UNITS.items():
        line = getattr(foretold.unit, name)
        table.add_row(name, f"{1e6 * line.each:,.4g} µs", f"{of}, and {1e6 * line.fixed:,.3g} µs each time")
    _out.print(table)
    table = _table("a round, estimated", "", "")
    for column, value in foretold.row.items():
        if isinstance(value, int | float) and column not in ("users", "user_actors"):
            amount = _size(value) if "bytes" in column else f"{value:,.4g} s"
            table.add_row(column, amount, _MEANINGS.get(column, ""))
    _out.print(table)
    table = _table(f"{foretold.rounds:,} rounds, estimated", "", "")
    for name, value in foretold.totals.items():
        amount = _size(value) if "bytes" in name else _duration(value)
        table.add_row(name, amount, _MEANINGS.get(name, ""))
    _out.print(table)


def _show_estimates(estimates: list[tuple[dict[str, Any], Estimate]]) -> None:
    """A line per cell of a study."""
    columns = ("protocol_s", "user_cpu_s_max", "server_cpu_s", "upload_bytes_total", "download_bytes_total")
    keys = [key.rpartition(".")[2] for key in estimates[0][0]]
    table = _table(*keys, *(column.replace("bytes", "mb") for column in columns), "whole study")
    for values, foretold in estimates:
        costs = (foretold.row[column] / (1e6 if "bytes" in column else 1) for column in columns)
        wall = _duration(foretold.totals["simulation_wall_s"])
        table.add_row(*map(str, values.values()), *(f"{cost:,.4g}" for cost in costs), wall)
    _out.print(table)
    wall_s = sum(foretold.totals["simulation_wall_s"] for _, foretold in estimates)
    _out.print(f"estimated costs of a round; the study takes about {_duration(wall_s)} here, without set-up")


def _show_findings(findings: Sequence[tuple[dict[str, Any], Finding]]) -> None:
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
    _out.print(table)


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


def main() -> None:
    """Entry point. Exit codes: 2 for bad input, 1 for a run that diverged, 130 for Ctrl-C; one line each."""
    try:
        cli(standalone_mode=False)
    except click.Abort:  # click's name for Ctrl-C
        _screen.print("interrupted")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FedMFError as error:
        if "--debug" in sys.argv[1:]:
            raise
        _screen.print(f"[red]error:[/] {_plain(error)}", soft_wrap=True)
        sys.exit(1 if isinstance(error, DivergenceError) else 2)


def _plain(message: object) -> str:
    """Brackets in a message are text, not markup."""
    return str(message).replace("[", r"\[")
