"""What runs, cells and lines are called: their protection, their swept values, their kind of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fedmf_ray.schemes import protection

ALGORITHM, SCHEME, CHARGE = "model.algorithm", "protocol.scheme", "protocol.charge"
KEY_BITS, SPARSITY = "protocol.key_bits", "protocol.part_text_sparsity"

PROTECTION = (SCHEME, CHARGE, KEY_BITS)
"""The keys that say what protects a run, as far as they are swept."""

_FEDERATED = "fedmf"
_TEXTS = {0.0: "full text", 1.0: "part text"}


def is_central(scenario: Mapping[str, Any]) -> bool:
    """Whether a run was a central baseline: it has no protocol, so no scheme and no key."""
    return bool(scenario["model"].get("algorithm", _FEDERATED) != _FEDERATED)


def protected_by(scenario: Mapping[str, Any]) -> str:
    """``packed, 3072 bits``, ``packed, 3072 bits, charged``, ``plain``; ``biases, central`` of a baseline."""
    if is_central(scenario):
        return f"{scenario['model']['algorithm']}, central"
    protocol = scenario["protocol"]
    charge = protocol.get("charge")
    if not charge:
        return protection(protocol)
    return f"{protection({**protocol, 'scheme': charge, 'charge': None})}, charged"


def unused(keys: Mapping[str, Any]) -> set[str]:
    """The swept keys that mean nothing for a cell with these values.

    That is the protocol of a central baseline, and the key size of a scheme without keys.
    """
    given = _given(keys)
    if given.get(ALGORITHM, _FEDERATED) != _FEDERATED:
        return {key for key in keys if key.startswith("protocol.")}
    if KEY_BITS not in given:
        return set()
    costed = given.get(CHARGE) or given.get(SCHEME)
    if costed is None:
        # Only a scheme without keys can be charged another's costs, so an uncharged cell has no key.
        return {KEY_BITS} if CHARGE in keys else set()
    with_key = protection({"scheme": costed, "key_bits": whole(given[KEY_BITS])})
    return {KEY_BITS} if with_key == protection({"scheme": costed}) else set()


def describe(keys: Mapping[str, Any], basis: str = "measured") -> str:
    """Swept values in words: ``part text, elementwise, 1024 bits (charged)``."""
    without = unused(keys)
    kept = {key: value for key, value in _given(keys).items() if key not in without}
    words = []
    if SPARSITY in kept:
        value = kept.pop(SPARSITY)
        words.append(_TEXTS.get(value, f"part_text_sparsity {_value(value)}"))
    charge, scheme, bits = (kept.pop(key, None) for key in (CHARGE, SCHEME, KEY_BITS))
    if charge or scheme:  # of a charged cell, what it is charged counts
        words.append(protection({"scheme": charge or scheme, "key_bits": whole(bits)}))
    elif bits:
        words.append(f"{whole(bits)} bits")
    if kept.get(ALGORITHM, _FEDERATED) != _FEDERATED:
        words.append(f"{kept.pop(ALGORITHM)}, central")
    words += [f"{key.rpartition('.')[2]} {_value(value)}" for key, value in kept.items()]
    return marked(", ".join(words), basis)


def marked(name: str, basis: str) -> str:
    """The name, with its basis unless that is measured or the name has it already."""
    if basis == "measured" or f"{basis})" in name:
        return name
    return f"{name} ({basis})".strip()


def numbered(names: Sequence[str]) -> list[str]:
    """The names; those that occur several times are numbered."""
    return [
        f"{name} ({names[: at + 1].count(name)})" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]


def distinct(names: Sequence[str], paths: Sequence[str | Path]) -> list[str]:
    """The names, with the folder's added to those that occur twice."""
    # Numbers are for the same folder given twice, or for folders of one name in different places.
    return numbered(
        [
            f"{name} {Path(path).name}" if names.count(name) > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    )


def whole(value: Any) -> Any:
    """A whole number as an integer: a column that has gaps holds floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if isinstance(value, list) or not pd.isna(value)}


def _value(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(whole(value))
