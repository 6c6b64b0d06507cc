"""What several pictures share: a study cut into lines, their names, and logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.runs import swept_keys

_TEXTS = {0.0: "full text", 1.0: "part text"}
_PROTECTION = ("protocol.scheme", "protocol.charge", "protocol.key_bits")

_BASES = ["measured", "charged", "estimated"]

MOST_LINES = 24


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
        rest = [key for key in numbers if key not in _PROTECTION] or numbers
        rest = [key for key in rest if key != "protocol.part_text_sparsity"] or rest
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
    if len(found) > MOST_LINES:
        raise FedMFError(f"{len(found)} lines over {over} are more than one picture can tell apart")
    return found


def with_basis(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``basis``; before there was one, every second was measured."""
    if "basis" in table:
        return table.fillna({"basis": "measured"})
    return table.assign(basis="measured")


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
        key for key in varied(table) if key in values and key not in _PROTECTION and values[key].max() == 1
    ]


def axis_label(table: pd.DataFrame, over: str) -> str:
    """The key, with those that move along."""
    moved = ", ".join(key.rpartition(".")[2] for key in moving_with(table, over))
    return f"{over} (with {moved})" if moved else over


def describe(keys: dict[str, Any], basis: str = "measured") -> str:
    """Swept values in words: ``part text, elementwise 1024 bits (charged)``."""
    keys = {key: value for key, value in keys.items() if not pd.isna(value)}
    words = []
    if "protocol.part_text_sparsity" in keys:
        value = keys.pop("protocol.part_text_sparsity")
        words.append(_TEXTS.get(value, f"part_text_sparsity {_value(value)}"))
    protection = [keys.pop(key) for key in _PROTECTION if key in keys]
    if len(protection) > 1 and protection[0] == "plain" and isinstance(protection[1], str):
        del protection[0]  # charged: what is charged counts
    if protection and not isinstance(protection[-1], str):
        protection[-1] = f"{_value(protection[-1])} bits"
    words.append(" ".join(map(str, protection)))
    words += [f"{key.rpartition('.')[2]} {_value(value)}" for key, value in keys.items()]
    text = ", ".join(word for word in words if word)
    mark = "" if basis == "measured" else f"({basis})"
    return " ".join(part for part in (text, mark) if part)


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


def _value(value: Any) -> str:
    """Whole numbers are whole, also in a column that has gaps and so holds floats."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def logarithmic(axis: Any, ticks: Sequence[float], both: bool = True) -> None:
    """Log scales with plain numbers; ``ticks`` on the x axis. both: on the y axis as well."""
    axis.set_xscale("log")
    axis.set_xticks(ticks, minor=False)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    if both:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if _decades(axis) < 2.5 else (1.0,)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


def scales(axis: Any, found: Sequence[Line], over: str, column: str, closest: float) -> None:
    """Log scales where the x values ask for them (y too where it can be), else linear ones from zero.

    closest: see :func:`thinned`.
    """
    ticks = sorted({float(x) for line in found for x in line.points[over]})
    lowest = min(line.points[column].min() for line in found)
    if spread(ticks):
        logarithmic(axis, thinned(ticks, closest), both=lowest > 0)
    elif lowest >= 0:
        highest = max(line.points[column].max() for line in found)
        axis.set_ylim(0, max(1.06 * highest, axis.get_ylim()[1]))  # no mark is cut by the edge


def _decades(axis: Any) -> float:
    low, high = axis.get_ylim()
    return math.log10(high / low) if low > 0 else math.inf


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
