"""What a round costs as a Markdown table: a row per cell of a study, means over rounds."""

from __future__ import annotations

import pandas as pd

from fedmf_ray.report.breakdown import COLUMNS as COSTS
from fedmf_ray.report.breakdown import PARTS
from fedmf_ray.report.names import describe
from fedmf_ray.report.runs import need
from fedmf_ray.report.series import varied

COLUMNS = ("basis", "users", *COSTS, "upload_bytes_total", "download_bytes_total")


def cost_table(table: pd.DataFrame) -> pd.DataFrame:
    """Setting, basis, ``protocol_s`` and its parts (seconds), and MB of a user up and down."""
    need(table, COLUMNS)
    table = table.dropna(subset=["protocol_s"])
    keys, rows = varied(table), []
    for _, rounds in table.groupby(["cell", "basis"], sort=True):
        first, mean = rounds.iloc[0], rounds.mean(numeric_only=True)
        rows.append(
            {
                "setting": describe({key: first[key] for key in keys}),
                "basis": first["basis"],
                "protocol_s": mean["protocol_s"],
                **{part: mean[column] for part, column in PARTS.items()},
                "MB up": mean["upload_bytes_total"] / mean["users"] / 1e6,
                "MB down": mean["download_bytes_total"] / mean["users"] / 1e6,
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Three significant digits, figures to the right."""
    header = "| " + " | ".join(table.columns) + " |"
    rule = "|" + "|".join("---" if column in ("setting", "basis") else "---:" for column in table) + "|"
    body = [
        "| " + " | ".join(value if isinstance(value, str) else _digits(value) for value in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join([header, rule, *body])


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
