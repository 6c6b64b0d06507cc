"""Settings of a study by test error, the best first; over folds and seeds as mean and standard deviation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.names import describe, unused
from fedmf_ray.report.runs import need, swept_keys

REPEATS = ("test.fold", "seed")
"""Swept keys that repeat a setting instead of changing it."""


def ranked(table: pd.DataFrame, by: str = "test_rmse") -> pd.DataFrame:
    """A row per setting, the smallest error first.

    table: as :func:`~.runs.read_study` gives it, a row per cell and round; without
    the cells that diverged, whose last round is no result (``Study.ended``). by: a column of errors. Columns:
    ``rank`` (equal errors share one), ``setting`` in words, ``cells`` (how many folds and seeds), ``rounds``
    (the mean number of them), the error after the last round, its mean over folds and seeds, and its
    standard deviation (``test_rmse_sd``, missing for a single cell). Raises :class:`FedMFError` if no cell
    has the error.
    """
    source = table.attrs.get("source", "the study")
    need(table, [by])
    found = table.dropna(subset=[by])
    if found.empty:
        raise FedMFError(f"{source}: no cell has a {by} to rank by (hold ratings out: test)")
    last = found.sort_values("round").groupby("cell", sort=True).tail(1).sort_values("cell")
    varied = [key for key in swept_keys(table) if table[key].nunique(dropna=False) > 1]
    keys = [key for key in varied if key not in REPEATS]
    shown = last[keys].astype(object)
    for at, row in shown.iterrows():  # a key that means nothing for a cell makes no setting of its own
        shown.loc[at, list(unused({str(key): value for key, value in row.items()}))] = None
    last = last.assign(setting=[_in_words(row) for row in shown.to_dict("records")])
    groups = last.groupby("setting", sort=False)
    result = groups.agg(
        cells=(by, "size"), rounds=("round", "mean"), mean=(by, "mean"), sd=(by, "std")
    ).reset_index()  # fmt: skip
    result["rounds"] += 1
    result = result.sort_values("mean", kind="stable").reset_index(drop=True)
    result.insert(0, "rank", result["mean"].rank(method="min").astype(int))
    return result.rename(columns={"mean": by, "sd": f"{by}_sd"})


def _in_words(row: Mapping[Any, Any]) -> str:
    return describe({str(key): value for key, value in row.items()}) or "every cell"


def best(ranking: pd.DataFrame, by: str = "test_rmse") -> str:
    """One line that names the best setting, or says how many share the smallest error."""
    first, several = ranking.iloc[0], int((ranking["rank"] == 1).sum())
    spread = first[f"{by}_sd"]
    error = f"{by} {first[by]:.4f}" + ("" if pd.isna(spread) else f" ± {spread:.4f}")
    if several == len(ranking) and several > 1:
        return f"all {several} settings end with the same {error}"
    others = f", and {several - 1} more with the same error" if several > 1 else ""
    return f"{first['setting']}: {error}{others}"
