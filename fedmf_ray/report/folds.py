"""Test errors as means and standard deviations over folds, in Markdown: a row per setting of a study."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.names import describe
from fedmf_ray.report.runs import need, swept_keys, with_basis
from fedmf_ray.report.series import varied

COLUMNS = ("test_rmse", "test_mae")
_FOLD = "test.fold"


def over_folds(
    table: pd.DataFrame, after: Sequence[int] = (), columns: Sequence[str] = COLUMNS
) -> pd.DataFrame:
    """Mean and standard deviation (``COLUMN_sd``) over the cells that differ in ``test.fold`` only.

    table: as :func:`~.runs.read_study` gives it. after: numbers of rounds; the last round that all
    folds of a setting have reached if none is given. ``folds`` says how many folds have a figure: a setting
    with fewer than the others lost some. Raises :class:`FedMFError` if folds were not swept.
    """
    if _FOLD not in swept_keys(table):
        raise FedMFError(f"{table.attrs.get('source', 'the table')}: has not swept {_FOLD}")
    need(table, columns)
    table = with_basis(table.dropna(subset=list(columns)))
    keys = [key for key in varied(table) if key != _FOLD]
    rows = []
    for values, cells in table.groupby([*keys, "basis"], sort=False, dropna=False):
        setting = describe(dict(zip(keys, values[:-1], strict=True)), str(values[-1]))
        common = int(cells.groupby(_FOLD)["round"].max().min()) + 1
        for rounds in after or [common]:
            figures = cells.loc[cells["round"] == rounds - 1, list(columns)]
            if len(figures):
                rows.append({"setting": setting, "rounds": rounds, "folds": len(figures), **_spread(figures)})
    if not rows:
        raise FedMFError(f"no fold has a figure for {', '.join(columns)} after so many rounds")
    return pd.DataFrame(rows)


def _spread(figures: pd.DataFrame) -> dict[str, float]:
    spread: dict[str, float] = {}
    for column in map(str, figures.columns):
        spread |= {column: float(figures[column].mean()), f"{column}_sd": float(figures[column].std())}
    return spread


def with_spread(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation in one column of text."""
    texts = {
        column: [
            f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(table[column], table[f"{column}_sd"], strict=True)
        ]
        for column in columns
    }
    return table[["setting", "rounds", "folds"]].assign(**texts)
