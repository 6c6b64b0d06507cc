"""Runs side by side: what differs in their settings, then quality, protection and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.names import distinct
from fedmf_ray.report.protecting import reading
from fedmf_ray.report.runs import Run

LOSSES = ("train_mse", "test_rmse", "test_mae")
_COSTS = {
    "protocol_s": "s per round, as deployed",
    "user_cpu_s_max": "s per round, the busiest user's CPU",
    "server_cpu_s": "s per round, the server's CPU",
    "upload_bytes_total": "bytes per round, up, all users (counted)",
    "download_bytes_total": "bytes per round, down, all users (counted)",
    "wall_s": "s per round, this simulation (measured)",
}
_BASIS = ("protocol_s", "user_cpu_s_max", "server_cpu_s")
"""Those whose kind is in the column ``basis`` of a run."""

_NOT_COMPARED = ("name", "description")


def compared(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per figure, a column per run: ``part`` (settings, quality, protection, cost), ``what``, then a
    column for each run under its label.

    Settings are those that differ. Costs are means over rounds, with their kind. Raises :class:`FedMFError`
    for fewer than two runs.
    """
    if len(runs) < 2:
        raise FedMFError("compare: name two runs or more")
    labels = distinct([run.label for run in runs], [run.path for run in runs])
    rows = [*_settings(runs), *_quality(runs), *_protection(runs), *_cost(runs)]
    return pd.DataFrame(
        [(part, what, *values) for part, what, values in rows], columns=["part", "what", *labels]
    )


def same_losses(runs: Sequence[Run]) -> str:
    """One line: whether the losses of all common rounds are the same to the last bit."""
    count = min(len(run.rounds) for run in runs)
    tables = [run.rounds[list(LOSSES)].head(count).reset_index(drop=True) for run in runs]
    common = f"the {count} round{'s' * (count != 1)} that all runs have"
    if all(table.equals(tables[0]) for table in tables):
        return f"losses are the same to the last bit in {common}"
    for number in range(count):
        if not all(table.iloc[number].equals(tables[0].iloc[number]) for table in tables):
            return f"losses differ from round {number} on ({common})"
    raise AssertionError("tables that differ have a row that does")


_Rows = Iterator[tuple[str, str, list[Any]]]


def _settings(runs: Sequence[Run]) -> _Rows:
    trees = [dict(_flat(run.scenario)) for run in runs]
    for key in dict.fromkeys(key for tree in trees for key in tree):
        values = [tree.get(key) for tree in trees]
        if key not in _NOT_COMPARED and any(value != values[0] for value in values):
            yield "settings", key, ["" if value is None else str(value) for value in values]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _quality(runs: Sequence[Run]) -> _Rows:
    yield "quality", "status", [str(run.summary.get("status", "not ended")) for run in runs]
    yield "quality", "rounds", [len(run.rounds) for run in runs]
    for column in LOSSES:
        values = [_last(run, column) for run in runs]
        if any(value == value for value in values):
            yield "quality", column, values
    measured = [run.summary.get("ranking") or {} for run in runs]
    for name in dict.fromkeys(name for ranking in measured for name in ranking):
        yield "quality", f"lists: {name}", [ranking.get(name) for ranking in measured]


def _last(run: Run, column: str) -> float:
    return float(run.rounds[column].iloc[-1]) if column in run.rounds else float("nan")


def _protection(runs: Sequence[Run]) -> _Rows:
    said = [reading(run.scenario) for run in runs]
    for about in ("server", "helped", "charge", "users", "pairs"):
        if any(about in lines for lines in said):
            yield "protection", "", [lines.get(about, "") for lines in said]


def _cost(runs: Sequence[Run]) -> _Rows:
    yield "cost", "basis", [_basis(run) for run in runs]
    for column, unit in _COSTS.items():
        values = [float(run.rounds[column].mean()) if column in run.rounds else float("nan") for run in runs]
        if any(value == value for value in values):
            kind = " (see basis)" if column in _BASIS else ""
            yield "cost", f"{column}: {unit}{kind}", values
    lists = [(run.summary.get("lists") or {}).get("download_bytes_mean") for run in runs]
    if any(value is not None for value in lists):
        yield "cost", "lists: bytes more, down, of a user who wants a list (counted)", lists


def _basis(run: Run) -> str:
    return ", ".join(dict.fromkeys(run.rounds["basis"])) if "basis" in run.rounds else "measured"
