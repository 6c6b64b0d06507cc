"""The commands about one run: run a scenario, resume a run, show what one of its users would be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fedmf_ray.cli import console
from fedmf_ray.cli.destination import destination, print_place, results_option
from fedmf_ray.cli.screens import run_screen

if TYPE_CHECKING:
    from fedmf_ray.scenario.schema import Scenario


@click.command()
@click.argument("file", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@results_option
@click.option("--user", metavar="ID",
              help="Also show what this user would be shown in the end, as recommend does.")  # fmt: skip
def run(file: Path, overrides: tuple[str, ...], results: str, user: str | None) -> None:
    """Run a scenario and print the folder with its results.

    KEY=VALUE arguments override keys of the file, for example protocol.key_bits=2048.
    """
    from fedmf_ray.engine.run import run as run_scenario
    from fedmf_ray.scenario import file as scenario_file

    scenario = scenario_file.load(file, overrides)
    if user is not None:
        _check_user(file, scenario, user)
    for warning in _warnings(scenario):
        console.warn(warning)
    if scenario.model.init == "constant":
        console.note("a constant start keeps the model at rank one (model.init: normal does not)")
    if scenario.observe:
        console.note("the run records a view (observe), from which ratings may be recovered")
    with destination(results) as place:
        with run_screen(scenario.name) as screen:
            folder = run_scenario(scenario, place.folder, screen)
        _end(folder, user)
        print_place(folder, place)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
def resume(folder: Path, overrides: tuple[str, ...]) -> None:
    """Continue an interrupted run from its newest checkpoint.

    The results are the same as without the interruption. KEY=VALUE arguments may change stop.* and
    cluster.*: more rounds, other machines.
    """
    from fedmf_ray.engine.run import resume as resume_run

    with run_screen(folder.absolute().parent.name) as screen:
        folder = resume_run(folder, screen, overrides)
    _end(folder)
    print_place(folder)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--user", required=True, metavar="ID",
              help="The user's id in the data set.")  # fmt: skip
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, show_default=True,
              help="How many titles.")  # fmt: skip
def recommend(folder: Path, user: str, count: int) -> None:
    """Show the titles that a user would be shown, before and after training.

    Reads the checkpoint on the users' side (cluster.checkpoint_folder), not the run folder: neither a server
    nor an experimenter could do this.
    """
    from fedmf_ray.cli.lists import show_recommendations
    from fedmf_ray.engine.recommend import recommend as recommend_to

    show_recommendations(recommend_to(folder, user, count))


def _warnings(scenario: Scenario) -> list[str]:
    """What makes the protection of this scenario weaker than it looks, one line each."""
    if scenario.model.central:
        return []
    from fedmf_ray.scenario.fitting import rule_warning

    of_rule = rule_warning(scenario.model.rule_object, scenario.stop.rounds)
    return [line for line in (scenario.protocol.costed.warning(), of_rule) if line]


def _check_user(file: Path, scenario: Scenario, user: str) -> None:
    """Whoever is to be shown a list must take part: said before the run, not after it."""
    from fedmf_ray.engine.recommend import position_of
    from fedmf_ray.planning.population import Population

    position_of(Population.of(scenario), user, file)


def _end(folder: Path, user: str | None = None) -> None:
    """Draw the picture and say what came out; of a user, if one is named, its lists too."""
    from fedmf_ray.cli.ending import show_next, show_run
    from fedmf_ray.cli.lists import show_recommendations
    from fedmf_ray.engine.recommend import recommend as recommend_to
    from fedmf_ray.report.convergence import convergence
    from fedmf_ray.report.figures import save
    from fedmf_ray.report.runs import read_run

    save(convergence([read_run(folder)]), folder / "plots" / "convergence.png")
    show_run(folder)
    if user is not None:
        console.stderr.print()
        show_recommendations(recommend_to(folder, user, 8), console.stderr, before=False)
    show_next(folder, folder / "plots" / "convergence.png")
