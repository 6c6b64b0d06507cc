"""One page about a run or a study: pictures, tables, the scenario, the machine. Opens without network."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import pandas as pd
import yaml
from matplotlib.figure import Figure

from fedmf_ray import __version__
from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing, writing
from fedmf_ray.report import page_sections as sections
from fedmf_ray.report.folds import over_folds
from fedmf_ray.report.page_tables import (
    Rows,
    cell_table,
    environment,
    frame,
    measures,
    round_table,
    study_brief,
)
from fedmf_ray.report.pictures import Folder, TooMuchError, drawings
from fedmf_ray.report.ranking import best, ranked
from fedmf_ray.report.runs import Run, Study, read_audit, read_run, read_study_folder

# Letters as shapes, so that no font is looked for; ids from the content, so that a page is the same again.
_SVG: Any = {"svg.fonttype": "path", "svg.hashsalt": "fedmf-ray"}


def report(path: str | Path, output: Path | None = None, lists: pd.DataFrame | None = None) -> Path:
    """Write ``report.html`` into a run or study folder (or to ``output``) and return its path.

    lists: a sample of recommendations, read on the users' side by the caller. It is private: whoever has the
    page can read it. Raises :class:`FedMFError` if the folder is neither, or has no complete content yet.
    """
    path = Path(path)
    try:
        folder = read_study_folder(path) if (path / "study.yaml").exists() else _ended(read_run(path))
        parts = _study(folder) if isinstance(folder, Study) else _run(folder)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if lists is not None and len(lists):
        parts["first"].insert(
            1,
            (
                "A sample of recommendations (private)",
                Rows(frame(lists).header, frame(lists).rows, words=True),
            ),
        )
    pictures, notes = _pictures(folder)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html.j2")
    text = page.render(pictures=pictures, notes=notes, version=__version__, **parts)
    output = output or path / "report.html"
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output), replacing(output) as file:
        file.write(text.encode())
    return output


def _pictures(folder: Folder) -> tuple[list[dict[str, Any]], list[str]]:
    """Caption and address of each picture that applies, and what is too much for the page."""
    pictures, notes = [], []
    for drawing in drawings(folder):
        try:
            figure = drawing.on_page()
        except TooMuchError as error:
            notes.append(str(error))
        except FedMFError:  # too few points, too many lines, or columns that an older version did not write
            continue
        else:
            found = {"caption": drawing.caption, "broad": drawing.picture.broad}
            pictures.append({**found, "address": _address(figure)})
    return pictures, notes


def _address(figure: Figure) -> str:
    """An address of its own rather than an element of the page: pictures' ids cannot clash."""
    buffer = io.BytesIO()
    with mpl.rc_context(_SVG):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _ended(run: Run) -> Run:
    if not run.summary:
        raise FedMFError(f"{run.path}: has not ended yet (no summary.json)")
    return run


def _run(run: Run) -> dict[str, Any]:
    count = f"{len(run.rounds)} round" + ("" if len(run.rounds) == 1 else "s")
    return {
        "title": run.label,
        "description": run.scenario.get("description", ""),
        "ended": f"Run folder {run.path.absolute().name}: {run.summary['status']} after {count}.",
        "first": [
            ("Quality", sections.quality(run)),
            ("Protection", sections.protection(run)),
            ("Cost", sections.cost(run)),
        ],
        "tables": [
            *_audit_table(run.path),
            round_table(run.rounds),
            ("Environment", environment([run.path])),
        ],
        "scenario": (run.path / "scenario.yaml").read_text(encoding="utf-8"),
    }


def _study(study: Study) -> dict[str, Any]:
    cells, table = study.cells, study.rounds
    complete = int(cells["status"].isin(["complete", "converged", "stopped_early"]).sum())
    keys = [str(key) for key in cells.columns if key not in ("cell", "status", "reason")]
    return {
        "title": study.label,
        "description": study.scenario.get("description", ""),
        "ended": f"{complete} of {len(cells)} cells are complete; swept {', '.join(keys)}.",
        "first": [*_ranking(study.ended), ("In short", Rows(rows=study_brief(cells, table), words=True))],
        "tables": [
            *_fold_tables(table),
            ("Cells (errors and lists after the last round, costs as means over rounds)",
             frame(cell_table(cells, table))),
            *_audit_table(study.path),
            ("Environment", environment([study.path / "cells" / f"{cell:04d}" for cell in cells["cell"]])),
        ],
        "scenario": study.text,
    }  # fmt: skip


def _ranking(table: pd.DataFrame) -> list[tuple[str, Rows]]:
    """The best setting and all of them by test error, if anything was held out."""
    if "test_rmse" not in table:
        return []
    try:
        found = ranked(table)
    except FedMFError:
        return []
    named = [("Best", Rows(rows=[["smallest test error", best(found)]], words=True))]
    return [
        *named,
        ("Settings by test error (test_rmse in units of ratings, after the last round)", frame(found)),
    ]


def _fold_tables(table: pd.DataFrame) -> list[tuple[str, Rows]]:
    """Errors and, if any, what lists are measured by, which only the last round of a cell has."""
    found = []
    wanted = {"Over folds": ("test_rmse", "test_mae"), "Lists over folds": tuple(measures(table))}
    for heading, columns in wanted.items():
        try:
            rows = frame(over_folds(table, columns=columns)) if columns else None
        except FedMFError:  # not swept, or nothing was held out
            continue
        if rows:
            found.append((f"{heading} (last round; sd: standard deviation)", rows))
    return found


def _audit_table(folder: Path) -> list[tuple[str, Rows]]:
    return [("Audit", frame(read_audit(folder)))] if (folder / "audit.json").exists() else []
