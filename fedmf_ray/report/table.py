"""What a round costs as a Markdown table: a row per cell of a study, means over rounds.

python analysis/table.py STUDY...
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import pandas as pd

from fedmf_ray.report.breakdown import COLUMNS, PARTS
from fedmf_ray.report.figures import drawing
from fedmf_ray.report.runs import need, read_study
from fedmf_ray.report.series import describe, varied

_COLUMNS = ("basis", "users", *COLUMNS, "upload_bytes_total", "download_bytes_total")


def cost_table(table: pd.DataFrame) -> pd.DataFrame:
    """Setting, basis, ``protocol_s`` and its parts (seconds), and MB of a user up and down."""
    need(table, _COLUMNS)
    keys = varied(table)
    rows = []
    for _, rounds in table.dropna(subset=["protocol_s"]).groupby(["cell", "basis"], sort=True):
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


@click.command(help=__doc__.splitlines()[0])
@click.argument("studies", nargs=-1, required=True)
@drawing
def main(studies: Sequence[str]) -> None:
    click.echo(markdown(cost_table(read_study(*studies, columns=_COLUMNS))))
