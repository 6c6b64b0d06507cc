"""The commands about studies: sweep, estimate, audit, and the report of a run or a study."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fedmf_ray.cli import console
from fedmf_ray.cli.destination import destination, print_place, results_option
from fedmf_ray.cli.screens import run_screen, study_screen
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from fedmf_ray.study.scoring import Finding
    from fedmf_ray.study.sweep import CellState


@click.command()
@click.argument("file", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@results_option
@click.option(
    "--folder", type=click.Path(path_type=Path), help="The study's own folder, instead of one in RESULTS."
)
def sweep(file: Path, overrides: tuple[str, ...], results: str, folder: Path | None) -> None:
    """Run every cell of a study, a scenario with a sweep, and rank its settings by test error.

    Called again, it runs only the cells that are missing.
    """
    from fedmf_ray.cli.ranking import show_ranking
    from fedmf_ray.study import cells
    from fedmf_ray.study.sweep import run_study

    study = cells.load(file, overrides)
    with destination(results) as place:
        with study_screen(study.name) as screen:
            outcome = run_study(study, place.folder, screen, folder)
        incomplete, count = outcome.incomplete, len(outcome.states)
        show_ranking(outcome.path)
        console.stderr.print(f"{count - len(incomplete)} of {count} cells are complete")
        print_place(outcome.path, None if folder else place)
    _end_of_study(incomplete)


@click.command()
@click.argument("file", metavar="SCENARIO|STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--within", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Also print how many machines simulate a round within this time.")  # fmt: skip
@click.option("--cpus", type=click.IntRange(min=1), default=32, show_default=True,
              help="CPUs of one such machine.")  # fmt: skip
@click.option("--memory", type=click.FloatRange(min=0, min_open=True), default=128.0, show_default=True,
              metavar="GB", help="Memory of one such machine.")  # fmt: skip
@click.option("--machines", type=click.IntRange(1, 100_000), metavar="NUMBER",
              help="Also print a dry plan: a simulated round on up to so many such machines.")  # fmt: skip
@click.option("--gbit", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
              help="Network of one such machine, in Gbit/s.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as CSV.")
def estimate(
    file: Path,
    overrides: tuple[str, ...],
    within: float | None,
    cpus: int,
    memory: float,
    machines: int | None,
    gbit: float,
    output: Path | None,
) -> None:
    """Estimate the costs of a scenario, or of each cell of a study.

    Measures unit costs on this machine; trains nothing.
    """
    from fedmf_ray.cli.machines import show_plan
    from fedmf_ray.cli.tables import show_estimate, show_estimates
    from fedmf_ray.engine.backends import open_backend
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.study import cells
    from fedmf_ray.study.estimate import estimate as estimate_scenario
    from fedmf_ray.study.estimate import write_rows
    from fedmf_ray.study.machines import DryPlan, measure_driver

    if "sweep" in scenario_file.read(file, overrides):
        scenarios = [(cell.keys, cell.scenario) for cell in cells.load(file, overrides).cells]
    else:
        scenarios = [({}, scenario_file.load(file, overrides))]
    backend = open_backend(scenarios[0][1].cluster)
    estimates = []
    try:
        for keys, scenario in scenarios:
            name = ", ".join(map(str, keys.values())) or scenario.name
            with console.stderr.status(console.escaped(f"estimating {name}")):
                estimates.append((keys, estimate_scenario(scenario, backend)))
        driver = machines and measure_driver(backend)
    finally:
        backend.close()
    if len(estimates) == 1:
        show_estimate(estimates[0][1])
    else:
        show_estimates(estimates)
    if within is not None:
        for keys, estimated in estimates:
            where = f"{', '.join(map(str, keys.values()))}: " if keys else ""
            try:
                number = estimated.machines(cpus, memory, within)
                answer = f"{number:,} machine{'s' * (number > 1)} of {cpus} CPUs and {memory:g} GB"
            except FedMFError as error:
                answer = str(error)
            console.out.print(console.escaped(f"{where}a simulated round within {within:g} s: {answer}"))
    if machines and driver:
        for keys, estimated in estimates:
            if keys:
                console.out.print(console.escaped(", ".join(map(str, keys.values()))))
            show_plan(DryPlan.of(estimated, driver, cpus, gbit), machines, gbit)
    if output:
        click.echo(write_rows(output, estimates))


@click.command()
@click.argument("file", metavar="SCENARIO|STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--view", type=click.Path(path_type=Path), metavar="RUN",
              help="Attack what this run of the scenario recorded, instead of running it.")  # fmt: skip
@click.option("--scale", metavar="LOW:HIGH:STEP",
              help="The rating scale, if not that of the ratings: every adversary knows it.")  # fmt: skip
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
              help="Where run folders go.")  # fmt: skip
def audit(
    file: Path, overrides: tuple[str, ...], view: Path | None, scale: str | None, results: Path
) -> None:
    """Run a scenario or a study, then attack what `observe` recorded.

    Prints how many ratings, and how much of who rated what, an adversary recovers; writes audit.json.
    """
    from fedmf_ray.cli.tables import show_findings
    from fedmf_ray.report.audit import audit_picture
    from fedmf_ray.report.figures import save
    from fedmf_ray.report.runs import read_audit
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.study import audit as audits
    from fedmf_ray.study import cells

    grid = None if scale is None else _scale(scale)
    results = results.expanduser().absolute()
    if "sweep" in scenario_file.read(file, overrides):
        if view:
            raise FedMFError("--view: works for one scenario, not for a study, which keeps its own runs")
        study = cells.load(file, overrides)
        with study_screen(study.name) as screen:
            audited = audits.audit_study(study, results, screen, grid, _show_attacked)
    else:
        scenario = scenario_file.load(file, overrides)
        with run_screen(scenario.name) as screen:
            audited = audits.audit_scenario(scenario, results, screen, grid, view)
    show_findings(audited.findings)
    click.echo(audited.path / "audit.json")
    save(audit_picture(read_audit(audited.path)), audited.path / "audit.png")
    _end_of_study(audited.incomplete)


@click.command()
@click.argument("path", metavar="RUN|STUDY", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Where to write the page, instead of report.html in the folder.")  # fmt: skip
@click.option("--user", metavar="ID",
              help="Also show what this user would be shown. Private: it is in the page.")  # fmt: skip
def report(path: Path, output: Path | None, user: str | None) -> None:
    """Write one self-contained page about a run or a study."""
    from fedmf_ray.report.page import report as write_report

    click.echo(write_report(path, output, _lists(path, user) if user else _invented_lists(path)))


def _invented_lists(path: Path) -> pd.DataFrame | None:
    """The same of the first user of a synthetic run, whose ratings are nobody's; None for other runs, and
    where nothing is left of its users."""
    import yaml

    try:
        scenario = yaml.safe_load((path / "scenario.yaml").read_text(encoding="utf-8"))
        invented = scenario["ratings"]["source"] == "synthetic"
        return _lists(path, "1") if invented else None
    except (FedMFError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def _lists(path: Path, user: str) -> pd.DataFrame:
    """What a user rated highest beside what it would be shown, read on the users' side."""
    import itertools

    import pandas as pd

    from fedmf_ray.engine.recommend import recommend

    found = recommend(path, user, 8)
    rows = [
        {
            f"user {found.user} rated highest": "" if liked is None else f"{liked.stars:g} {liked.title}",
            f"recommended after {found.rounds} rounds": "" if one is None else f"{one.stars:.2f} {one.title}",
        }
        for liked, one in itertools.zip_longest(found.liked, found.after)
    ]
    return pd.DataFrame(rows)


def _show_attacked(state: CellState, found: list[Finding]) -> None:
    """A line for a cell that was attacked; the table of all comes at the end."""
    known = [finding.recovered for finding in found if finding.recovered is not None]
    if any(finding.readable and finding.recovered is None for finding in found):
        what = "all uploads are readable"
    else:
        what = f"{100 * max(known):.2f} % of ratings recovered" if known else "nothing can be scored"
    console.stderr.print(console.escaped(f"{state.cell}: {what}"), soft_wrap=True)


def _end_of_study(incomplete: Sequence[CellState]) -> None:
    """Print the cells that are not complete and why; if there are any, end with exit code 1."""
    for state in incomplete:
        line = console.escaped(f"{state.cell}: {state.reason}")
        console.stderr.print(f"[red]{state.status}:[/] {line}", soft_wrap=True)
    if incomplete:
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
