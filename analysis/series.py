"""What several pictures share: a study cut into lines, their names, and logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from analysis.runs import swept_keys
from fedmf_ray.errors import FedMFError

_TEXTS = {0.0: "full text", 1.0: "part text"}
_PROTECTION = ("protocol.scheme", "protocol.charge", "protocol.key_bits")


def axis_key(table: pd.DataFrame, over: str | None) -> str:
    """The swept key for the x axis, the first one with several numbers if none is asked for."""
    keys = swept_keys(table)
    numbers = [key for key in keys if pd.api.types.is_numeric_dtype(table[key]) and table[key].nunique() > 1]
    if over is None:
        # The protection is what lines are told apart by, and texts too where anything else was swept.
        rest = [key for key in numbers if key not in _PROTECTION] or numbers
        rest = [key for key in rest if key != "protocol.part_text_sparsity"] or rest
        if not rest:
            raise FedMFError(f"the study swept no numbers to draw over: {', '.join(keys)}")
        return rest[0]
    if over not in keys:
        raise FedMFError(f"--over {over}: the study swept {', '.join(keys)}")
    if not pd.api.types.is_numeric_dtype(table[over]):
        raise FedMFError(f"--over {over}: its values are no numbers")
    return over


def need(table: pd.DataFrame, columns: Sequence[str], source: object) -> None:
    """Raise :class:`FedMFError` naming the first column that the table lacks."""
    for column in columns:
        if column not in table:
            raise FedMFError(f"{source}: its rounds have no column {column} (written by an older version?)")


def lines(table: pd.DataFrame, over: str, columns: Sequence[str]) -> Iterator[tuple[str, bool, pd.DataFrame]]:
    """Name, whether it was measured, and points (means over rounds) of each line.

    One line for each combination of the other swept keys and of the basis: measured, charged and estimated
    figures never share one.
    """
    others = [key for key in swept_keys(table) if key != over and table[key].nunique(dropna=False) > 1]
    groups = [*others, "basis"] if "basis" in table else others
    parts: Any = table.groupby(groups, sort=False, dropna=False) if groups else [((), table)]
    for values, rows in parts:
        named = dict(zip(groups, values, strict=True))
        basis = named.pop("basis", "measured")
        means = rows.groupby(over, as_index=False)[list(columns)].mean()
        several = "basis" in table and table["basis"].nunique() > 1
        yield describe(named, basis) or (basis if several else ""), basis == "measured", means


def describe(keys: dict[str, Any], basis: str = "measured") -> str:
    """Swept values in words: ``part text, elementwise 1024 bits (charged)``."""
    keys = {key: value for key, value in keys.items() if not pd.isna(value)}
    words = []
    if "protocol.part_text_sparsity" in keys:
        value = keys.pop("protocol.part_text_sparsity")
        words.append(_TEXTS.get(value, f"part_text_sparsity {value:g}"))
    protection = [keys.pop(key) for key in _PROTECTION if key in keys]
    if len(protection) > 1 and protection[0] == "plain" and isinstance(protection[1], str):
        del protection[0]  # charged: what is charged counts
    if protection and not isinstance(protection[-1], str):
        protection[-1] = f"{protection[-1]:g} bits"
    words.append(" ".join(map(str, protection)))
    words += [f"{key.rpartition('.')[2]} {value}" for key, value in keys.items()]
    text = ", ".join(word for word in words if word)
    mark = "" if basis == "measured" else f"({basis})"
    return " ".join(part for part in (text, mark) if part)


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
