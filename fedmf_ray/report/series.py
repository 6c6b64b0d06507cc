"""What several pictures share: a study cut into lines, their names, and logarithmic axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.names import PROTECTION, SPARSITY, describe, numbered
from fedmf_ray.report.runs import swept_keys, with_basis

_BASES = ["measured", "charged", "estimated"]

MOST_LINES = 24
_FEW_TICKS = 6
_NARROW_DECADES = 0.7  # 1, 2 and 5 of each decade could leave a narrower axis with a single tick


class Line(NamedTuple):
    """One line of a picture: name, basis of its figures, and points (the x key and columns)."""

    label: str
    basis: str
    points: pd.DataFrame


def axis_key(table: pd.DataFrame, over: str | None) -> str:
    """The swept key for the x axis, the first one with several numbers if none is asked for."""
    keys = swept_keys(table)
    numbers = numeric(table)
    if over is None:
        # The protection is what lines are told apart by, and texts too where anything else was swept.
        rest = [key for key in numbers if key not in PROTECTION] or numbers
        rest = [key for key in rest if key != SPARSITY] or rest
        if not rest:
            raise FedMFError(f"the study swept no numbers to draw over: {', '.join(keys)}")
        return rest[0]
    if over not in keys:
        raise FedMFError(f"--over {over}: the study swept {', '.join(keys)}")
    if not _is_number(table[over]):
        raise FedMFError(f"--over {over}: its values are no numbers")
    return over


def numeric(table: pd.DataFrame) -> list[str]:
    """The swept keys that can be an axis: several numbers."""
    return [key for key in swept_keys(table) if _is_number(table[key]) and table[key].nunique() > 1]


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def lines(table: pd.DataFrame, over: str, columns: Sequence[str]) -> list[Line]:
    """A line for each combination of the other swept keys and of the basis, in order of appearance.

    Its points are means over rounds. Measured, charged and estimated figures never share a line. Rows
    without the columns' figures (a central baseline has no protocol) are left out; raises
    :class:`FedMFError` if no row is left, or if there are more lines than a picture can tell apart.
    """
    table = with_basis(table.dropna(subset=[over, *columns]))
    if table.empty:
        raise FedMFError(f"no row has a figure for {', '.join(columns)}")
    moved = moving_with(table, over)
    others = [key for key in varied(table) if key != over and key not in moved]
    several = table["basis"].nunique() > 1
    found = []
    for values, rows in table.groupby([*others, "basis"], sort=False, dropna=False):
        named = dict(zip([*others, "basis"], values, strict=True))
        basis = str(named.pop("basis"))
        points = rows.groupby(over, as_index=False)[list(columns)].mean()
        found.append(Line(describe(named, basis) or (basis if several else ""), basis, points))
    labels = numbered([line.label for line in found])
    found = [line._replace(label=label) for line, label in zip(found, labels, strict=True)]
    if len(found) > MOST_LINES:
        raise FedMFError(f"{len(found)} lines over {over} are more than one picture can tell apart")
    return found


def merged(found: Sequence[Line], columns: Sequence[str]) -> list[Line]:
    """Without the lines that would lie on another one; the one that is left says how many it stands for."""
    groups: list[list[Line]] = []
    for line in found:
        for group in groups:
            if group[0].basis == line.basis and _same(group[0].points, line.points, columns):
                group.append(line)
                break
        else:
            groups.append([line])
    if len(groups) == 1 < len(found):
        return [groups[0][0]._replace(label=f"all {len(found)} settings alike")]
    return [
        group[0]
        if len(group) == 1
        else group[0]._replace(label=f"{group[0].label}, and {len(group) - 1} equal")
        for group in groups
    ]


def _same(one: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether two lines have the same x values and figures."""
    x = [column for column in one if column not in columns]
    return one[[*x, *columns]].equals(other[[*x, *columns]])


def varied(table: pd.DataFrame) -> list[str]:
    """The swept keys that have more than one value here (none counts as one)."""
    return [key for key in swept_keys(table) if table[key].nunique(dropna=False) > 1]


def moving_with(table: pd.DataFrame, over: str) -> list[str]:
    """Keys that change only together with ``over`` (``zip`` in a sweep): they do not cut a line in pieces.

    What protects the run always makes lines of its own.
    """
    settings = table[swept_keys(table)].drop_duplicates()
    values = settings.groupby(over).nunique(dropna=False)
    return [
        key for key in varied(table) if key in values and key not in PROTECTION and values[key].max() == 1
    ]


def axis_label(table: pd.DataFrame, over: str) -> str:
    """The key, with those that move along."""
    moved = ", ".join(key.rpartition(".")[2] for key in moving_with(table, over))
    return f"{over} (with {moved})" if moved else over


def title(text: str, kind: str, bases: Iterable[str]) -> str:
    """``text (kind)``; where no row is measured, it says what the figures are instead.

    kind: measured, counted or derived. A derived figure stays derived from whatever it rests on.
    """
    found = sorted(set(bases), key=_BASES.index)
    if found == ["measured"]:
        return f"{text} ({kind})"
    if kind == "derived":
        return f"{text} (derived)" if "measured" in found else f"{text} (derived, {' or '.join(found)})"
    return f"{text} ({' or '.join(kind if basis == 'measured' else basis for basis in found)})"


def logarithmic(axis: Any, ticks: Sequence[float], both: bool = True) -> None:
    """Log scales with plain numbers; ``ticks`` on the x axis. both: on the y axis as well."""
    axis.set_xscale("log")
    axis.set_xticks(ticks, minor=False)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    if both:
        axis.set_yscale("log")
        plain_ticks(axis.yaxis)


def scales(axis: Any, found: Sequence[Line], over: str, closest: float) -> None:
    """Log scales where the x values ask for them (y too where it can be), else linear ones from zero.

    axis: with its lines drawn; what they show decides. closest: see :func:`thinned`.
    """
    ticks = sorted({float(x) for line in found for x in line.points[over]})
    lowest, highest = axis.dataLim.intervaly
    if spread(ticks):
        logarithmic(axis, thinned(ticks, closest), both=lowest > 0)
        return
    if lowest >= 0:
        axis.set_ylim(0, max(1.06 * highest, axis.get_ylim()[1]))  # no mark is cut by the edge
    closest_two = min((after - before for before, after in itertools.pairwise(ticks)), default=0)
    if 3 <= len(ticks) <= _FEW_TICKS and closest_two >= (ticks[-1] - ticks[0]) / _FEW_TICKS:
        axis.set_xticks(ticks)  # the values themselves, where they have room


def plain_ticks(axis: Any, most: int = 8) -> None:
    """Plain numbers on a logarithmic axis whose limits are known: at least two, and at most ``most``.

    axis: the x axis or the y axis of a panel.
    """
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    if decades < _NARROW_DECADES:
        axis.set_major_locator(MaxNLocator(4))
    else:
        subs = (1.0, 2.0, 5.0) if 3 * decades <= most else (1.0, 3.0) if decades < 2 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def spread(values: Sequence[float]) -> bool:
    """Whether values ask for a log scale: positive, and the largest at least eight times the smallest."""
    return min(values) > 0 and max(values) >= 8 * min(values)


def thinned(ticks: Sequence[float], closest: float) -> list[float]:
    """Without the ticks that are less than ``closest`` times the one before: their labels would touch."""
    kept = list(ticks[:1])
    for tick in ticks[1:]:
        if tick >= closest * kept[-1]:
            kept.append(tick)
    return kept
