"""Where the time goes: the parts of the slowest user's round and the server, a bar per run or cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, bar_names, bars_height, new_figure, styled
from fedmf_ray.report.names import describe, marked, numbered
from fedmf_ray.report.pictures import TooMuchError, picture
from fedmf_ray.report.runs import TOGETHER, Run, Study, need, with_basis, with_opening
from fedmf_ray.report.series import title, varied

PARTS = {
    "download": "slowest_download_s",
    "read V": "slowest_decrypt_s",
    "update": "slowest_update_s",
    "prepare upload": "slowest_encrypt_s",
    "upload": "slowest_upload_s",
    "server": "server_cpu_s",
    "open": "open_s",
    "seal": "seal_s",
}
"""Names of the parts and their columns. The names are true for every scheme: not every run encrypts."""

_MANY_BARS = 36
_COLOURS = ("#c6dbef", "#0b2c55", "#f2c14e", "#c04a10", "#9ecae1", "#a8a8a8", "#4a7c59", "#b5838d")

COLUMNS = (*PARTS.values(), "protocol_s")


def shares(tables: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """A row per run, or per cell of a study, and basis: mean seconds of each part and of ``protocol_s``.

    tables: names, no two alike, and ``rounds.csv`` or ``study.csv`` tables. The index says which row it is.
    """
    rows, labels = [], []
    for name, table in tables:
        table = with_opening(table)
        need(table, COLUMNS, name)
        whole = with_basis(table.dropna(subset=list(COLUMNS)))
        whole = whole if "cell" in table else whole.assign(cell=0)
        keys = varied(whole) if "cell" in table else []
        for (_, basis), rounds in whole.groupby(["cell", "basis"], sort=False):
            setting = describe({key: rounds[key].iloc[0] for key in keys})
            shown = "" if "cell" in table and len(tables) == 1 else name
            labels.append(marked(", ".join(part for part in (shown, setting) if part), str(basis)))
            rows.append({**rounds[list(COLUMNS)].mean(), "basis": basis})
    if not rows:
        raise FedMFError("no row has the parts of protocol_s")
    return pd.DataFrame(rows, index=numbered(labels))


@styled
def breakdown(
    tables: Sequence[tuple[str, pd.DataFrame]], seconds: bool = False, width: float = PAGE_INCHES
) -> Figure:
    """Stacked bars: shares of ``protocol_s``, whose seconds stand at the end; or seconds themselves.

    Bars that are not measured (charged, estimated) are hatched, and say so.
    """
    table = shares(tables)
    figure, (axis,) = new_figure(width=width, height=0.9 + bars_height(len(table), width))
    left = np.zeros(len(table))
    totals = table["protocol_s"].to_numpy(float)
    handles = []
    for (part, column), colour in zip(PARTS.items(), _COLOURS, strict=True):
        if column in TOGETHER and not table[column].any():
            continue  # no run here has that
        handles.append(Patch(color=colour, label=part))
        lengths = table[column].to_numpy(float) / (1 if seconds else totals / 100)
        # By position, not by name: two bars of one name would be drawn over each other.
        bars = axis.barh(range(len(table)), lengths, left=left, color=colour, label=part, height=0.6)
        for bar, basis in zip(bars, table["basis"], strict=True):
            bar.set(hatch="" if basis == "measured" else "////", edgecolor="white", linewidth=0)
        left += lengths
    for at, total in enumerate(totals):
        axis.annotate(
            f"{total:,.0f} s" if total >= 100 else f"{total:.3g} s",
            (left[at], at),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    bar_names(axis, list(table.index), width)
    axis.set_xlim(0, left.max() * (1.17 if width > 5 else 1.25))
    axis.set_title(
        title("seconds per round", "derived", table["basis"])
        if seconds
        else title("share of protocol seconds (%)", "derived", table["basis"])
    )
    if not seconds:
        axis.set_xticks([0, 25, 50, 75, 100])
    else:
        axis.xaxis.get_major_locator().set_params(nbins=6 if width > 5 else 4)
    columns = 6 if width > 5 else 3
    figure.legend(
        handles=handles, loc="outside lower left", ncols=columns, handlelength=1.2, columnspacing=1.2
    )
    return figure


@picture("Where the time goes, mean round.", run=20, study=40)  # on a study's page it is as tall as its cells
def where_time_goes(folder: Run | Study, width: float) -> Figure:
    """The page is about this run alone, which needs no name; of a study, every cell is a bar."""
    need(folder.rounds, COLUMNS)
    count = folder.rounds["cell"].nunique() if isinstance(folder, Study) else 1
    if count > _MANY_BARS:
        raise TooMuchError(
            f"Where the time goes is left out: {count} cells would be as many bars. The table has the parts."
        )
    return breakdown([("", folder.rounds)], width=width)
