"""What a round costs as a table (a row per cell, means over rounds), and tables as CSV, Markdown, LaTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing, writing
from fedmf_ray.report.breakdown import COLUMNS as COSTS
from fedmf_ray.report.breakdown import PARTS
from fedmf_ray.report.names import describe
from fedmf_ray.report.runs import need, with_opening
from fedmf_ray.report.series import varied

COLUMNS = ("basis", "users", *COSTS, "upload_bytes_total", "download_bytes_total")


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "γ": r"$\gamma$", "²": r"$^2$", "×": r"$\times$",
}  # fmt: skip


def cost_table(table: pd.DataFrame) -> pd.DataFrame:
    """Setting, basis, ``protocol_s`` and its parts (seconds), and MB of a user up and down."""
    table = with_opening(table)
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
    found = pd.DataFrame(rows)
    return found.drop(columns=[part for part in ("open", "seal") if not found[part].any()])


def markdown(table: pd.DataFrame) -> str:
    """Three significant digits, figures to the right."""
    header = "| " + " | ".join(table.columns) + " |"
    rule = "|" + "|".join("---" if column in ("setting", "basis") else "---:" for column in table) + "|"
    body = [
        "| " + " | ".join(_shown(value).replace("|", r"\|") for value in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join([header, rule, *body])


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def written(table: pd.DataFrame, output: Path) -> Path:
    """Write a table as CSV, Markdown or LaTeX (``tabular``), by suffix; returns the path.

    CSV has every digit. Raises :class:`FedMFError` for another suffix, or where it cannot be written.
    """
    makers = {".csv": lambda: table.to_csv(index=False), ".md": lambda: markdown(table) + "\n",
              ".tex": lambda: latex(table)}  # fmt: skip
    if output.suffix not in makers:
        raise FedMFError(f"-o {output}: must end in .csv, .md or .tex")
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as file:
            file.write(makers[output.suffix]().encode())
    return output


def latex(table: pd.DataFrame) -> str:
    """A plain ``tabular``, which needs no package; text to the left, figures to the right."""
    texts = {str(column): table[column].map(lambda value: isinstance(value, str)).any() for column in table}
    rows = [[_escaped(_shown(value)) for value in row] for row in table.itertuples(index=False)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{''.join('l' if text else 'r' for text in texts.values())}}}",
            r"\hline",
            " & ".join(map(_escaped, texts)) + r" \\",
            r"\hline",
            *(" & ".join(row) + r" \\" for row in rows),
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else _digits(value)
