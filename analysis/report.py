"""One page about a run or a study: pictures, tables, the scenario, the machine. Opens without network.

python analysis/report.py RUN_OR_STUDY [-o FILE]
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import jinja2
import matplotlib as mpl
import pandas as pd
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.audit import audit_picture
from analysis.breakdown import PARTS, breakdown
from analysis.convergence import convergence
from analysis.cost import cost
from analysis.figures import COLUMN_INCHES, drawing
from analysis.runs import read_audit, read_run, read_study, swept_keys
from analysis.scaling import scaling
from analysis.series import lines
from analysis.traffic import traffic
from fedmf_ray import __version__
from fedmf_ray.errors import FedMFError

_BRIEF = ("basis", "protocol_s", *PARTS.values(), "upload_bytes_total", "download_bytes_total", "wall_s")
_MANY_ROUNDS = 40
_MANY_BARS = 24
_MANY_LINES = 6


@dataclass(frozen=True)
class Rows:
    """A table as text. words: its cells may wrap."""

    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: bool = False


def report(path: str | Path, output: Path | None = None) -> Path:
    """Write ``report.html`` into a run or study folder (or to ``output``) and return its path.

    Raises :class:`FedMFError` if the folder is neither, or holds nothing whole yet.
    """
    folder = Path(path)
    parts = _study(folder) if (folder / "study.yaml").exists() else _run(folder)
    with mpl.rc_context({"svg.fonttype": "path"}):  # letters as shapes: no font is looked for
        drawn = [(caption, Markup(_svg(draw()))) for caption, draw in parts.pop("pictures")]
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html.j2")
    text = page.render(pictures=drawn, version=__version__, **parts)
    output = output or folder / "report.html"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FedMFError(f"{output}: cannot be written: {error.strerror}") from error
    return output


Picture = tuple[str, Callable[[], Figure]]


def _run(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    if not run.summary:
        raise FedMFError(f"{folder}: has no end yet (no summary.json)")
    rounds, last = run.rounds, run.rounds.iloc[-1]
    pictures: list[Picture] = []
    if rounds[["train_mse", "test_rmse"]].notna().any().any():
        pictures.append(("Losses after each round.", lambda: convergence([run], width=COLUMN_INCHES)))
    if {*_BRIEF} <= set(rounds):
        name = [(str(run.scenario["name"]), rounds)]
        pictures.append(("Where the time goes, mean round.", lambda: breakdown(name, width=COLUMN_INCHES)))
    pictures += _audit_picture(folder)
    shown = rounds if len(rounds) <= _MANY_ROUNDS else rounds.iloc[:: -(-len(rounds) // _MANY_ROUNDS)]
    heading = (
        "Rounds" if shown is rounds else f"Rounds (one in {-(-len(rounds) // _MANY_ROUNDS)} of {len(rounds)})"
    )
    headline = [["status", str(run.summary["status"])], ["rounds", str(len(rounds))]]
    if "reason" in run.summary:
        headline.append(["reason", run.summary["reason"]])
    means = rounds.mean(numeric_only=True)
    losses = [column for column in ("train_mse", "test_rmse") if last.get(column) == last.get(column)]
    headline += [
        [f"{column}, last round", _number(column, last[column])] for column in losses if column in last
    ]
    costs = [column for column in _BRIEF if column in means]
    headline += [[f"{_name(column)}, mean round", _number(column, means[column])] for column in costs]
    if "basis" in last:
        headline.insert(2, ["basis of seconds", str(last["basis"])])
    return {
        "title": run.label,
        "description": run.scenario.get("description", ""),
        "ended": f"Run folder {folder.name}: {run.summary['status']} after {len(rounds)} rounds.",
        "brief": Rows(rows=headline, words=True),
        "pictures": pictures,
        "tables": [
            *_audit_table(folder),
            (heading, _frame(shown)),
            ("Environment", _environment(folder)),
        ],
        "scenario": (folder / "scenario.yaml").read_text(encoding="utf-8"),
    }


def _study(folder: Path) -> dict[str, Any]:
    text = (folder / "study.yaml").read_text(encoding="utf-8")
    tree, table = yaml.safe_load(text), read_study(folder)
    cells = pd.read_csv(folder / "cells.csv")
    keys = swept_keys(table)
    brief = [column for column in _BRIEF if column in table]
    numbers = [column for column in brief if column != "basis"]
    means = table.groupby("cell")[numbers].mean().join(table.groupby("cell")["basis"].first()) if "basis" in (
        brief) else table.groupby("cell")[numbers].mean()  # fmt: skip
    cells = cells.join(means[brief], on="cell")
    sound = int(cells["status"].isin(["complete", "converged"]).sum())
    environments = sorted((folder / "cells").glob("*/environment.json"))
    return {
        "title": f"Study {tree.get('name', folder.name)}",
        "description": tree.get("description", ""),
        "ended": f"{sound} of {len(cells)} cells are sound; swept {', '.join(keys)}.",
        "brief": None,
        "pictures": [*_study_pictures(table, keys), *_audit_picture(folder)],
        "tables": [
            ("Cells (means over rounds)", _frame(cells.dropna(axis="columns", how="all"))),
            *_audit_table(folder),
            (
                "Environment of the first cell",
                _environment(environments[0].parent) if environments else Rows(),
            ),
        ],
        "scenario": text,
    }


def _study_pictures(table: pd.DataFrame, keys: list[str]) -> Iterator[Picture]:
    """Every picture that the swept keys allow; what does not apply says so by refusing to be drawn."""
    width = COLUMN_INCHES
    protected = "protocol_s" in table
    for key in keys:
        if not protected or not pd.api.types.is_numeric_dtype(table[key]) or table[key].nunique() < 2:
            continue
        if len(list(lines(table, key, ["protocol_s"]))) <= _MANY_LINES:
            yield f"Protocol seconds over {key}.", partial(cost, table, key, width=width)
    candidates: list[Picture] = []
    if protected:
        candidates += [
            ("Bytes of a user in a round.", lambda: traffic(table, width=width)),
            ("Scaling over workers.", lambda: scaling(table, width=width)),
        ]
        if table["cell"].nunique() <= _MANY_BARS:
            name = [("", table)]
            candidates.append(("Where the time goes, mean round.", lambda: breakdown(name, width=width)))
    for caption, draw in candidates:
        try:
            draw()
        except FedMFError:
            continue
        yield caption, draw


def _audit_picture(folder: Path) -> list[Picture]:
    if not (folder / "audit.json").exists():
        return []
    return [("What adversaries recover.", lambda: audit_picture(read_audit(folder)))]


def _audit_table(folder: Path) -> list[tuple[str, Rows]]:
    return [("Audit", _frame(read_audit(folder)))] if (folder / "audit.json").exists() else []


def _environment(folder: Path) -> Rows:
    tree = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    flat = {
        key: json.dumps(value) if isinstance(value, dict | list) else str(value)
        for key, value in tree.items()
    }
    return Rows(rows=[[key, value] for key, value in flat.items()], words=True)


def _frame(table: pd.DataFrame) -> Rows:
    rows = [[_number(column, value) for column, value in row.items()] for row in table.to_dict("records")]
    return Rows([_name(column) for column in table], rows)


def _name(column: Any) -> str:
    """A column's heading: bytes are shown in MB, and a swept key by its last word."""
    name = str(column)
    return name.replace("_bytes_total", " MB") if "bytes" in name else name.rpartition(".")[2]


def _number(column: Any, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    if "bytes" in str(column):
        return f"{value / 1e6:,.4g}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _svg(figure: Figure) -> str:
    """The picture as an element of the page, without the preamble of a file."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


@click.command(help=__doc__.splitlines()[0])
@click.argument("path", metavar="RUN_OR_STUDY")
@click.option("-o", "--output", type=Path, help="Instead of report.html in the folder.")
@drawing
def main(path: str, output: Path | None) -> None:
    click.echo(report(path, output))


if __name__ == "__main__":
    main()
