"""The command line: words into calls, errors into one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fedmf_ray import __version__
from fedmf_ray.cli import data as cli_data
from fedmf_ray.cli import jobs as cli_jobs
from fedmf_ray.cli.destination import destination
from fedmf_ray.cli.screens import (
    draw_run,
    out,
    plain,
    run_screen,
    show_estimate,
    show_estimates,
    show_findings,
    show_place,
    show_run,
    stderr,
    study_screen,
)
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes.paillier.keys import key_warning
from fedmf_ray.termination import Terminated, termination_as_interrupt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fedmf_ray.study.sweep import CellState


_results = click.option(
    "--results", default="results", show_default=True, metavar="FOLDER|URI",
    help="Where run folders go. A URI (s3://, gs://, file:///) gets a copy when the run has ended.",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__)
def cli(debug: bool) -> None:
    """Simulate secure federated matrix factorisation (FedMF) on Ray."""


@cli.command()
@click.argument("file", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@_results
def run(file: Path, overrides: tuple[str, ...], results: str) -> None:
    """Run a scenario; KEY=VALUE words override its keys, as in protocol.key_bits=2048."""
    from fedmf_ray.engine.run import run as run_scenario

    chosen = scenario_file.load(file, overrides)
    protected = chosen.model.algorithm == "fedmf" and chosen.protocol.costed != "plain"
    warning = key_warning(chosen.protocol.key_bits) if protected else None
    if warning:
        stderr.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    if chosen.model.init == "constant":
        stderr.print(
            "[yellow]note:[/] a constant start keeps the model at rank one (model.init: normal does not)"
        )
    if chosen.observe:
        stderr.print("[yellow]note:[/] the run records a view (observe), which may give ratings away")
    with destination(results) as place:
        with run_screen(chosen.name) as screen:
            folder = run_scenario(chosen, place.folder, screen)
        draw_run(folder)
        show_run(folder, place)


@cli.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
def resume(folder: Path, overrides: tuple[str, ...]) -> None:
    """Go on with a run that was interrupted, from its newest checkpoint; same results as without a break.

    KEY=VALUE words may change stop.* and cluster.*: more rounds, other machines.
    """
    from fedmf_ray.engine.run import resume as resume_run

    with run_screen(folder.absolute().parent.name) as screen:
        folder = resume_run(folder, screen, overrides)
    draw_run(folder)
    show_run(folder)


@cli.command()
@click.argument("file", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@_results
@click.option(
    "--folder", type=click.Path(path_type=Path), help="The study's own folder, instead of one in RESULTS."
)
def sweep(file: Path, overrides: tuple[str, ...], results: str, folder: Path | None) -> None:
    """Run every cell of a scenario with a sweep; called again, run only what is missing."""
    from fedmf_ray.study import cells
    from fedmf_ray.study.sweep import run_study

    study = cells.load(file, overrides)
    with destination(results) as place:
        with study_screen(study.name) as screen:
            outcome = run_study(study, place.folder, screen, folder)
        stderr.print(f"{len(outcome.states) - len(outcome.unsound)} of {len(outcome.states)} cells are sound")
        show_place(outcome.path, None if folder else place)
    _end_of_study(outcome.unsound)


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
    from fedmf_ray.engine.backends import open_backend
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
            with stderr.status(f"estimating {plain(', '.join(map(str, keys.values())) or scenario.name)}"):
                estimates.append((keys, foretell(scenario, backend)))
    finally:
        backend.close()
    if len(estimates) == 1:
        show_estimate(estimates[0][1])
    else:
        show_estimates(estimates)
    if within is not None:
        for keys, foretold in estimates:
            where = f"{', '.join(map(str, keys.values()))}: " if keys else ""
            try:
                number = foretold.machines(cpus, memory, within)
                answer = f"{number:,} machine{'s' * (number > 1)} of {cpus} CPUs and {memory:g} GB"
            except FedMFError as error:
                answer = str(error)
            out.print(f"{where}a simulated round within {within:g} s: {plain(answer)}")
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
    from fedmf_ray.report.audit import audit_picture
    from fedmf_ray.report.figures import save
    from fedmf_ray.report.runs import read_audit
    from fedmf_ray.study import audit as audits
    from fedmf_ray.study import cells

    grid, results = _scale(scale), results.expanduser().absolute()
    if "sweep" in scenario_file.read(file, overrides):
        if view:
            raise FedMFError("--view: is for one scenario, a study keeps its own runs")
        study = cells.load(file, overrides)
        with study_screen(study.name) as screen:
            audited = audits.audit_study(study, results, screen, grid)
    else:
        chosen = scenario_file.load(file, overrides)
        with run_screen(chosen.name) as screen:
            audited = audits.audit_scenario(chosen, results, screen, grid, view)
    show_findings(audited.findings)
    click.echo(audited.path / "audit.json")
    save(audit_picture(read_audit(audited.path)), audited.path / "audit.png")
    _end_of_study(audited.unsound)


def _end_of_study(unsound: Sequence[CellState]) -> None:
    """Name the cells that did not end well; the exit code says so, too."""
    for state in unsound:
        stderr.print(f"[red]{state.status}:[/] {plain(state.cell)}: {plain(state.reason)}", soft_wrap=True)
    if unsound:
        sys.exit(1)


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
    from fedmf_ray.report.page import report as write_report

    click.echo(write_report(path, output))


@cli.command()
def doctor() -> None:
    """Check that this machine can run simulations; says what to do where it cannot."""
    from fedmf_ray.cli.doctor import examine

    sound = True
    for check in examine():
        sound &= check.sound
        mark = "[green]ok[/]  " if check.sound else "[red]FAIL[/]"
        stderr.print(
            f"{mark} {check.subject:10} {check.finding}" + ("" if check.sound else f" -> {check.remedy}")
        )
    if not sound:
        sys.exit(1)


cli.add_command(cli_data.data)
cli.add_command(cli_data.recommend)
cli.add_command(cli_jobs.submit)
cli.add_command(cli_jobs.follow)


def main() -> None:
    """Entry point. Exit codes: 2 for bad input, 1 for a run that diverged, 130 for Ctrl-C, 143 for SIGTERM
    (how schedulers and `ray job stop` ask); one line each."""
    with termination_as_interrupt():
        _main()


def _main() -> None:
    try:
        cli(standalone_mode=False)
    except click.Abort as error:  # click's name for both
        told_to_end = isinstance(error.__cause__, Terminated)
        stderr.print("terminated" if told_to_end else "interrupted")
        sys.exit(143 if told_to_end else 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FedMFError as error:
        if "--debug" in sys.argv[1:]:
            raise
        stderr.print(f"[red]error:[/] {plain(error)}", soft_wrap=True)
        sys.exit(1 if isinstance(error, DivergenceError) else 2)
