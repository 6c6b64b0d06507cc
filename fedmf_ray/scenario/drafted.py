"""A commented scenario for somebody's own ratings, as text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.ratings.inspecting import Inspected, Table
from fedmf_ray.ratings.split import Split

_FRACTION = 0.2


def drafted(seen: Inspected, titles: Table | None, test: Path | None, folder: Path) -> str:
    """The text of a scenario in a folder; test: a file of ratings that somebody else held out."""
    users, items, count = f"{seen.users:,} users", f"{seen.items:,} items", f"{len(seen.ratings.values):,}"
    defaults = Ridge.defaults(seen.scale.length)
    lines = [
        f"# {count} ratings by {users} of {items}, from {seen.scale}.",
        "# `fedmf-ray keys` lists every key; what is not here has a default that suits the ratings.",
        "",
        "ratings:",
        "  source: file",
        f"  path: {_flow(_near(seen.table.path, folder))}",
        f"  columns: {_flow(dict(seen.table.columns))}",
    ]
    lines += [f"  {key}: {_flow(value)}" for key, value in seen.table.keys.items()]
    if titles:
        where = {"path": _near(titles.path, folder), **titles.columns, **titles.keys}
        lines.append(f"  titles: {_flow(where)}")
    split, said = _split(seen, test, folder)
    least = 1 if test else Split(**split).fewest
    if seen.fewest < least:
        lines.append(f"  select: {{min_ratings: {least}}}  # who has fewer keeps none to train on")
    lines += [
        "",
        f"test: {_flow(split)}  # {said}",
        "",
        "model:",
        "  rule: ridge           # needs no learning rate",
        f"  # The defaults, reg_user {defaults.reg_user:g} and reg_item {defaults.reg_item:g}, suit many "
        "items with few raters;",
        "  # a fifth of them suits few items with many raters.",
        "",
        "protocol:",
        "  scheme: packed        # Paillier encryption; plain gives the same model, unprotected and faster",
        "  key_bits: 3072        # 128-bit security",
        "  min_raters: 1         # 3 hides users from each other, too, at the cost of one more round",
        "",
        "stop:",
        "  rounds: 10",
        "",
        "# For lists rather than ratings: model.rule=item_item stop.rounds=2; metrics.top_k=10 says how good",
        "# they are. With ridge, metrics.popularity=0.5 sorts lists by popularity, too.",
        "",
    ]
    return "\n".join(lines)


def _split(seen: Inspected, test: Path | None, folder: Path) -> tuple[dict[str, Any], str]:
    if test is not None:
        return {"file": _near(test, folder)}, "a split that somebody else made"
    if seen.timed:
        return {"last": 1}, "each user's latest rating is held out, to measure errors on"
    return {"fraction": _FRACTION}, "a fifth of each user's ratings is held out, to measure errors on"


def _near(path: Path, folder: Path) -> str:
    """Relative to the scenario where the file lies below it, absolute elsewhere."""
    path, folder = path.expanduser().resolve(), folder.resolve()
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)


def _flow(value: Any) -> str:
    """YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()
