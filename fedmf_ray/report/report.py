"""One page about a run or a study: pictures, tables, the scenario, the machine. Opens without network.

python analysis/report.py RUN_OR_STUDY [-o FILE]
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import jinja2
import matplotlib as mpl
import pandas as pd
import yaml
from matplotlib.figure import Figure

from fedmf_ray import __version__
from fedmf_ray.errors import FedMFError
from fedmf_ray.report.audit import audit_picture
from fedmf_ray.report.breakdown import breakdown
from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.cost import cost
from fedmf_ray.report.figures import COLUMN_INCHES, drawing
from fedmf_ray.report.folds import over_folds
from fedmf_ray.report.report_tables import (
    Rows,
    cell_table,
    environment,
    frame,
    round_table,
    run_brief,
    study_brief,
)
from fedmf_ray.report.runs import read_audit, read_run, read_study
from fedmf_ray.report.scaling import scaling
from fedmf_ray.report.series import lines, numeric, with_basis
from fedmf_ray.report.traffic import traffic, traffic_of_runs

_MANY_BARS = 36
_MANY_LINES = 8

# Letters as shapes, so that no font is looked for; ids from the content, so that a page is the same again.
_SVG: Any = {"svg.fonttype": "path", "svg.hashsalt": "fedmf-ray"}

Picture = tuple[str, Callable[[], Figure]]
"""Caption, and what draws it at column width; it raises :class:`FedMFError` where it does not apply."""


def report(path: str | Path, output: Path | None = None) -> Path:
    """Write ``report.html`` into a run or study folder (or to ``output``) and return its path.

    Raises :class:`FedMFError` if the folder is neither, or holds nothing whole yet.
    """
    folder = Path(path)
    try:
        parts = _study(folder) if (folder / "study.yaml").exists() else _run(folder)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FedMFError(f"{folder}: cannot be read: {' '.join(str(error).split())}") from None
    pictures = list(_drawn(parts.pop("pictures")))
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html.j2")
    text = page.render(pictures=pictures, version=__version__, **parts)
    output = output or folder / "report.html"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FedMFError(f"{output}: cannot be written: {error.strerror}") from error
    return output


def _drawn(pictures: Sequence[Picture]) -> Iterator[dict[str, str]]:
    """Caption and address of each picture that applies."""
    for caption, draw in pictures:
        try:
            figure = draw()
        except FedMFError:  # too few points, too many lines, or columns that an older version did not write
            continue
        buffer = io.BytesIO()
        with mpl.rc_context(_SVG):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        # An address of its own rather than an element of the page: pictures' ids cannot clash.
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        yield {"caption": caption, "address": f"data:image/svg+xml;base64,{data}"}


def _run(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    if not run.summary:
        raise FedMFError(f"{folder}: has no end yet (no summary.json)")
    rounds, name = run.rounds, [("", run.rounds)]  # the page is about no other run
    count = f"{len(rounds)} round" + ("" if len(rounds) == 1 else "s")
    width = COLUMN_INCHES
    return {
        "title": run.label,
        "description": run.scenario.get("description", ""),
        "ended": f"Run folder {folder.absolute().name}: {run.summary['status']} after {count}.",
        "brief": Rows(rows=run_brief(run.summary, rounds), words=True),
        "pictures": [
            ("Losses after each round.", lambda: convergence([run], width=width)),
            ("Where the time goes, mean round.", lambda: breakdown(name, width=width)),
            ("Bytes of a user in a round, mean.", lambda: traffic_of_runs(name, width=width)),
            *_audit_picture(folder),
        ],
        "notes": [],
        "tables": [
            *_audit_table(folder),
            round_table(rounds),
            ("Environment", environment([folder])),
        ],
        "scenario": (folder / "scenario.yaml").read_text(encoding="utf-8"),
    }


def _study(folder: Path) -> dict[str, Any]:
    text = (folder / "study.yaml").read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    if not (folder / "cells.csv").exists():
        raise FedMFError(f"{folder}: has no end yet (no cells.csv): run its sweep again")
    cells = pd.read_csv(folder / "cells.csv")
    sound = int(cells["status"].isin(["complete", "converged"]).sum())
    table = with_basis(read_study(folder)) if (folder / "study.csv").exists() else pd.DataFrame()
    environments = [folder / "cells" / f"{number:04d}" for number in cells["cell"]]
    keys = [str(key) for key in cells.columns if key not in ("cell", "status", "reason")]
    return {
        "title": f"Study {tree.get('name') or folder.absolute().parent.name}",
        "description": tree.get("description", ""),
        "ended": f"{sound} of {len(cells)} cells are sound; swept {', '.join(keys)}.",
        "brief": Rows(rows=study_brief(cells, table), words=True),
        "pictures": [*(_study_pictures(table) if len(table) else []), *_audit_picture(folder)],
        "notes": _notes(table),
        "tables": [
            *_fold_table(table),
            ("Cells (means over rounds)", frame(cell_table(cells, table))),
            *_audit_table(folder),
            ("Environment", environment(environments)),
        ],
        "scenario": text,
    }


def _study_pictures(table: pd.DataFrame) -> list[Picture]:
    """Every picture that a study can have; those that do not apply will say so."""
    width = COLUMN_INCHES
    few = table["cell"].nunique() <= _MANY_BARS
    over_keys: list[Picture] = [
        (f"Protocol seconds over {key}, mean round.", partial(cost, table, key, width=width))
        for key in numeric(table)
        if "protocol_s" in table and _worth_drawing(table, key)
    ]
    bars: list[Picture] = [
        ("Where the time goes, mean round.", lambda: breakdown([("", table)], width=width)),
    ]
    return [
        *over_keys,
        ("Bytes of a user in a round, mean.", lambda: traffic(table, width=width)),
        ("Scaling over workers, mean round.", lambda: scaling(table, width=width)),
        *(bars if few else []),  # last: it is as tall as there are cells
    ]


def _notes(table: pd.DataFrame) -> list[str]:
    """What would apply but is too much for the page."""
    count = table["cell"].nunique() if "protocol_s" in table else 0
    if count <= _MANY_BARS:
        return []
    return [f"Where the time goes is left out: {count} cells would be as many bars. The table has the parts."]


def _worth_drawing(table: pd.DataFrame, key: str) -> bool:
    """Whether lines over this key are few, and any of them has two points to join."""
    try:
        found = lines(table, key, ["protocol_s"])
    except FedMFError:
        return False
    return len(found) <= _MANY_LINES and max(len(line.points) for line in found) > 1


def _audit_picture(folder: Path) -> list[Picture]:
    if not (folder / "audit.json").exists():
        return []
    return [("What adversaries recover.", lambda: audit_picture(read_audit(folder)))]


def _fold_table(table: pd.DataFrame) -> list[tuple[str, Rows]]:
    try:
        return [("Over folds (last round; sd: standard deviation)", frame(over_folds(table)))]
    except FedMFError:  # not swept, or nothing was held out
        return []


def _audit_table(folder: Path) -> list[tuple[str, Rows]]:
    return [("Audit", frame(read_audit(folder)))] if (folder / "audit.json").exists() else []


@click.command(help=__doc__.splitlines()[0])
@click.argument("path", metavar="RUN_OR_STUDY")
@click.option("-o", "--output", type=Path, help="Instead of report.html in the folder.")
@drawing
def main(path: str, output: Path | None) -> None:
    click.echo(report(path, output))
