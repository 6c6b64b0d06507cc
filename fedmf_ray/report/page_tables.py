"""The tables of a report as text: rounds, cells, environments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fedmf_ray.report.breakdown import PARTS
from fedmf_ray.report.names import unused, whole

_COSTS = ("basis", "protocol_s", *PARTS.values(), "upload_bytes_total", "download_bytes_total", "wall_s")
_ERRORS = ("train_mse", "test_rmse")
_OTHERS = (*_ERRORS, "test_mae", "basis", "users", "user_actors", "uploads", "refused")
_COST_ENDINGS = ("_s", "_s_max", "_s_mean", "_bytes_total")
_MANY_ROUNDS = 40
_FEW = 3
_LONG = 120


@dataclass(frozen=True)
class Rows:
    """A table as text. words: its cells may wrap."""

    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: bool = False


def round_table(rounds: pd.DataFrame) -> tuple[str, Rows]:
    """Heading and table of ``rounds.csv``; of a long run only some rounds, the last among them."""
    step = -(-len(rounds) // _MANY_ROUNDS)
    if step == 1:
        return "Rounds", frame(rounds)
    shown = rounds.iloc[sorted({*range(0, len(rounds), step), len(rounds) - 1})]
    return f"Rounds (one in {step} of {len(rounds)}, and the last)", frame(shown)


def cell_table(cells: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """``cells.csv`` with each cell's last errors and measures of lists, then its mean costs.

    How it ended stands before them, the reason last. What means nothing for a cell, such as the key
    size of a scheme without keys, is left empty.
    """
    cells = _without_unused(cells)
    quality = [column for column in (*_ERRORS, *measures(table)) if column in table]
    if quality:
        cells = cells.join(table.groupby("cell").tail(1).set_index("cell")[quality], on="cell")
    brief = [column for column in _COSTS if column in table]
    if brief:
        numbers = [column for column in brief if column != "basis"]
        # A cell that mixed kinds of seconds would have a row of each.
        means = table.groupby(["cell", "basis"], sort=False)[numbers].mean().reset_index("basis")
        cells = cells.join(means[brief], on="cell")
    columns = [column for column in cells if column != "reason"]
    return cells[[*columns, "reason"]].dropna(axis="columns", how="all")


def measures(table: pd.DataFrame) -> list[str]:
    """Columns of ``study.csv`` that are no error, cost or count: what lists are measured by.

    Plug-ins may add to them. Only the last round of a cell has values.
    """
    if "round" not in table:
        return []
    after = table.columns[list(table.columns).index("round") + 1 :]
    return [
        str(column)
        for column in after
        if column not in _OTHERS
        and not str(column).endswith(_COST_ENDINGS)
        and pd.api.types.is_numeric_dtype(table[column])
        and table[column].notna().any()
        and _only_last(table, str(column))
    ]


def _only_last(table: pd.DataFrame, column: str) -> bool:
    """Whether a column is empty in all but the last round of each cell."""
    return not table.loc[table.duplicated("cell", keep="last"), column].notna().any()


def _without_unused(cells: pd.DataFrame) -> pd.DataFrame:
    keys = [column for column in cells if column not in ("cell", "status", "reason")]
    cells = cells.astype(dict.fromkeys(keys, object))
    for at, row in cells[keys].iterrows():
        cells.loc[at, list(unused({str(key): value for key, value in row.items()}))] = None
    return cells


def study_brief(cells: pd.DataFrame, table: pd.DataFrame) -> list[list[str]]:
    """How cells ended, and from where to where their mean protocol seconds go, for each basis."""
    rows = [[f"cells {status}", str(count)] for status, count in cells["status"].value_counts().items()]
    if not len(table):
        return rows
    rows.append(["rows (cells × rounds)", f"{len(table):,}"])
    if "protocol_s" in table:
        for basis, part in table.dropna(subset=["protocol_s"]).groupby("basis", sort=False):
            means = part.groupby("cell")["protocol_s"].mean()
            ends = " to ".join(dict.fromkeys(number("", value) for value in (means.min(), means.max())))
            rows.append([f"protocol_s ({basis}), mean round", ends])
    return rows


def environment(folders: Sequence[Path]) -> Rows:
    """``environment.json`` of runs as one table; where they differ, every value that occurs, up to a few."""
    values: dict[str, dict[str, None]] = {}
    for folder in folders:
        file = folder / "environment.json"
        tree = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        for key, value in tree.items():
            text = json.dumps(_short(value)) if isinstance(value, dict | list) else str(value)
            values.setdefault(key, {})[text] = None
    return Rows(rows=[[key, _few(list(texts))] for key, texts in values.items()], words=True)


def _short(value: Any) -> Any:
    """Numbers to four digits, wherever they stand."""
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _few(texts: list[str]) -> str:
    if len(texts) > 1 and max(map(len, texts)) > _LONG:
        return f"differs from cell to cell, {len(texts)} values: each is in its run folder"
    more = f"; and {len(texts) - _FEW} others" if len(texts) > _FEW else ""
    return "; ".join(texts[:_FEW]) + more


def frame(table: pd.DataFrame) -> Rows:
    rows = [[number(column, value) for column, value in row.items()] for row in table.to_dict("records")]
    return Rows([_name(column) for column in table], rows)


_KEY = re.compile(r"[a-z_]+(\.[a-z_]+)+")
"""Of a scenario: names of people may have dots, too."""


def cost_name(column: str) -> str:
    """A cost in words that are true for every scheme, with its column."""
    parts = {column: f"{part} ({column})" for part, column in PARTS.items() if part != "server"}
    return parts.get(column) or _name(column)


def measure(value: Any) -> str:
    """A measure of lists, to four places."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _name(column: Any) -> str:
    """A column's heading: bytes are shown in MB, and a swept key by its last word."""
    name = str(column)
    if "bytes" in name:
        return name.replace("_bytes_total", " MB").replace("_bytes", " MB")
    return name.rpartition(".")[2] if _KEY.fullmatch(name) else name


def number(column: Any, value: Any) -> str:
    """Four digits, bytes as MB, nothing for what is missing."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    if "bytes" in str(column):
        return number("", float(value) / 1e6)
    value = whole(value)
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
