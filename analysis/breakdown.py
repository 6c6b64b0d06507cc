"""Where the time goes: the parts of the slowest user's round and the server, a bar per run or cell.

python analysis/breakdown.py RUN_OR_STUDY... [--seconds] [-o FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import PAGE_INCHES, drawing, new_figure, save, styled
from analysis.runs import read_any, swept_keys
from analysis.series import describe, need

PARTS = {
    "download": "slowest_download_s",
    "decrypt": "slowest_decrypt_s",
    "update": "slowest_update_s",
    "encrypt": "slowest_encrypt_s",
    "upload": "slowest_upload_s",
    "server": "server_cpu_s",
}
_COLOURS = ("#c6dbef", "#0b2c55", "#e8a13a", "#c04a10", "#9ecae1", "#8c8c8c")


def shares(tables: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """A row per run, or per cell and basis of a study: mean seconds of each part and of ``protocol_s``.

    tables: names and ``rounds.csv`` or ``study.csv`` tables. The index says which row it is.
    """
    rows = {}
    for name, table in tables:
        need(table, [*PARTS.values(), "protocol_s", "basis"], name)
        keys = swept_keys(table) if "cell" in table else []
        for _, rounds in table.groupby(["cell"] if keys else ["basis"], sort=False):
            first = rounds.iloc[0]
            varied = {key: first[key] for key in keys if table[key].nunique(dropna=False) > 1}
            label = describe(varied, first["basis"]) if keys else describe({}, first["basis"])
            label = " ".join(part for part in ("" if keys and len(tables) == 1 else name, label) if part)
            rows[label] = rounds[[*PARTS.values(), "protocol_s"]].mean()
    return pd.DataFrame(rows).T


@styled
def breakdown(
    tables: Sequence[tuple[str, pd.DataFrame]], seconds: bool = False, width: float = PAGE_INCHES
) -> Figure:
    """Stacked bars: shares of ``protocol_s``, whose seconds stand at the end; or seconds themselves.

    Bars that are not measured (charged, estimated) are hatched, and say so.
    """
    table = shares(tables)
    figure, (axis,) = new_figure(width=width, height=0.9 + 0.22 * len(table))
    left = np.zeros(len(table))
    totals = table["protocol_s"].to_numpy(float)
    hatched = ["//" if label.endswith(("(charged)", "(estimated)")) else "" for label in table.index]
    for (part, column), colour in zip(PARTS.items(), _COLOURS, strict=True):
        lengths = table[column].to_numpy(float) / (1 if seconds else totals / 100)
        bars = axis.barh(table.index, lengths, left=left, color=colour, label=part, height=0.7)
        for bar, hatch in zip(bars, hatched, strict=True):
            bar.set(hatch=hatch, edgecolor="white", linewidth=0)
        left += lengths
    for at, total in enumerate(totals):
        axis.annotate(f"{total:.3g} s", (left[at], at), (4, 0), textcoords="offset points", va="center")
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.set_xlim(0, left.max() * 1.17)
    axis.grid(visible=False, axis="y")
    axis.set_title("seconds a round (derived)" if seconds else "share of a round's protocol seconds (%)")
    if not seconds:
        axis.set_xticks([0, 25, 50, 75, 100])
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=6 if width > 5 else 3, handlelength=1.2)
    return figure


@click.command(help=__doc__.splitlines()[0])
@click.argument("paths", nargs=-1, required=True)
@click.option("--seconds", is_flag=True, help="Absolute lengths instead of shares.")
@click.option("-o", "--output", type=Path, default=Path("breakdown.png"), show_default=True)
@drawing
def main(paths: Sequence[str], seconds: bool, output: Path) -> None:
    click.echo(save(breakdown(read_any(paths), seconds), output))


if __name__ == "__main__":
    main()
