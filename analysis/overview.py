"""Quality, cost and protection in one picture: what the README leads with.

python analysis/overview.py --quality BENCH.csv --study STUDY --audit "NAME=FOLDER[:KEY=VALUE]"... [-o FILE]

BENCH.csv is what `benchmarks/quality.py -o` writes, STUDY a sweep of scenarios/quality-vs-cost.yaml, and each
FOLDER a run or study that `fedmf-ray audit` has scored; of a study, KEY=VALUE picks a cell. The worst attack
on each is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from _fedmf_script import output, script

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import save
from fedmf_ray.report.overview import errors, overview, recovered
from fedmf_ray.report.quality import COLUMNS, courses
from fedmf_ray.report.runs import read_study


def _named(word: str) -> tuple[str, float]:
    """NAME=FOLDER[:KEY=VALUE] as a name and what was recovered."""
    name, _, place = word.partition("=")
    folder, _, pick = place.partition(":")
    if not (name and folder):
        raise FedMFError(f"--audit {word}: reads NAME=FOLDER or NAME=FOLDER:KEY=VALUE")
    if pick and "=" not in pick:
        raise FedMFError(f"--audit {word}: {pick} has no value (KEY=VALUE)")
    return name, recovered(folder, dict([pick.split("=", 1)]) if pick else {})


@script(__doc__)
@click.option("--quality", "bench", type=Path, required=True, help="Table of benchmarks/quality.py -o.")
@click.option("--ours", default="movielens-quality", show_default=True, help="Our scenario in that table.")
@click.option("--study", required=True, help="A sweep of scenarios/quality-vs-cost.yaml.")
@click.option("--line", "wanted", multiple=True, help="Only lines with these names; all if not given.")
@click.option("--audit", "audits", multiple=True, required=True, metavar="NAME=FOLDER[:KEY=VALUE]")
@output("overview.png")
def main(
    bench: Path, ours: str, study: str, wanted: Sequence[str], audits: Sequence[str], output: Path
) -> None:
    found = courses(read_study(study, columns=COLUMNS), ["model.rule", "model.factors"])
    lines = [
        course for course in found if not wanted or any(course.label.startswith(name) for name in wanted)
    ]
    if not lines:
        raise FedMFError(f"--line: the study has {', '.join(course.label for course in found)}")
    click.echo(save(overview(errors(bench), ours, lines, dict(map(_named, audits))), output))


if __name__ == "__main__":
    main()
