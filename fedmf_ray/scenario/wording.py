"""What is wrong with a key, in the words of a scenario file, from pydantic's errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # of a pydantic class, of a dataclass
_LONGEST = 100
"""Characters of a value that an error shows."""

_NO_KEYS = ("model_type", "dataclass_type", "model_attributes_type", "dict_type")


UNKNOWN_KEY = "unknown key"


def problem(error: Any, known: Iterable[str]) -> str:
    """One pydantic error without the place: ``0 should be greater than 0``. known: keys that are there."""
    kind, value, message = error["type"], error["input"], error["msg"]
    if kind in _UNKNOWN:
        near = get_close_matches(str(error["loc"][-1]), list(known), n=1)
        return UNKNOWN_KEY + (f" (did you mean {near[0]}?)" if near else "")
    if kind == "missing":
        return "is missing"
    if kind in _NO_KEYS:
        return f"{shown(value)} should be keys and values"
    if kind == "string_pattern_mismatch":
        message = "should start with a letter or digit and hold only letters, digits, '.', '_' and '-'"
    message = message.removeprefix("Value error, ").replace("Input should", "should", 1)
    message = message.replace("String should", "should", 1).replace("List should", "should", 1)
    return message if isinstance(value, dict | BaseModel) else f"{shown(value)} {message}"


def shown(value: object) -> str:
    """A value as people wrote it, or how it begins."""
    try:
        text = repr(value)
    except ValueError:  # an integer with thousands of digits
        return "a number with thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def place(path: Iterable[str], said: str, known: Iterable[str]) -> str:
    """``protocol.charge: what is wrong`` from where an error was found and what was said there; what a
    section says of one of its own keys becomes a part of the path."""
    where, names = ".".join(path), "|".join(map(re.escape, known))
    inner = re.match(rf"({names})(\.[\w.-]+)?: ", said) if where and names else None
    return f"{where}.{said}" if inner else f"{where}: {said}" if where else said
