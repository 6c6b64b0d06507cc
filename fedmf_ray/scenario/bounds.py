"""How large a number or a text in a scenario may be, and why.

Beyond these bounds no experiment makes sense, or a type overflows, or this program would work for hours
before it could say what is wrong. Whether what is allowed fits a machine is another question:
:mod:`fedmf_ray.planning.placement` answers it before anything is allocated.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fedmf_ray.ratings.synthetic import MOST_ITEMS, MOST_USERS


def _possible(path: str) -> str:
    if "\0" in path:
        raise ValueError("should hold no NUL character")
    return path


MOST_ROUNDS = 10**7
"""Names of checkpoints have eight digits."""

Users = Annotated[int, Field(gt=0, le=MOST_USERS)]
"""A number of users, or of raters of an item."""

Items = Annotated[int, Field(gt=0, le=MOST_ITEMS)]

Factors = Annotated[int, Field(gt=0, le=10**4)]
"""Published models have hundreds."""

Rounds = Annotated[int, Field(gt=0, le=MOST_ROUNDS)]

Round = Annotated[int, Field(ge=0, lt=MOST_ROUNDS)]
"""The number of a round."""

Weight = Annotated[float, Field(ge=0, le=1e9)]
"""Of a regulariser. With the largest, nothing is learned; beyond it, floats overflow."""

Rate = Annotated[float, Field(gt=0, le=1e6)]
"""A step size, a tolerance, a standard deviation. Squares of sums of the largest still are floats."""

Stars = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A rating, or what ratings are relative to: no scale is longer."""

StarsOrAuto = Annotated[
    float | Literal["auto"] | None,
    BeforeValidator(lambda value: number_or(value, ("auto",), -1e6, 1e6)),
]
"""The same, or that of the ratings."""

Weighting = Annotated[float, Field(ge=0, le=1e6)]
"""Stars per unit of something."""

Entry = Annotated[float, Field(gt=0, le=2**49)]
"""A bound of a number that is encrypted. A slot holds 57 bits, of which 8 at least are after the point:
nothing larger ever fits."""

ListLength = Annotated[int, Field(gt=0, le=10**5)]
"""Of a list of titles that one person is shown."""

Seed = Annotated[int, Field(ge=0, lt=2**128)]
"""NumPy's generators mix 128 bits; larger seeds bring no more random numbers."""

Processes = Annotated[int, Field(gt=0, le=10**5)]
"""Processes, or calls under way at once: more than any Ray cluster has run."""

Patience = Annotated[float, Field(ge=1, le=1e7)]
"""Seconds: from one, below which every call would be late, to four months."""

MOST_HELPERS = 1_000_000
Helpers = Annotated[int, Field(ge=0, le=MOST_HELPERS)]
Gigabytes = Annotated[float, Field(gt=0, le=1e6)]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Of a folder, and a part of a job's name: file systems allow 255 bytes."""

Word = Annotated[str, Field(max_length=200)]
"""A name of something, such as a column or an address."""

Text = Annotated[str, Field(max_length=10_000)]
"""A description for people."""

Location = Annotated[str, Field(max_length=4000), AfterValidator(_possible)]
"""A path of a file or folder: Linux allows 4096 bytes."""


def number_or(value: Any, words: tuple[str, ...], least: float, most: float) -> Any:
    """One of some words, a number between two bounds as a float, or None."""
    if value is None or value in words:
        return value
    if type(value) not in (int, float) or not least <= value <= most:
        raise ValueError(f"should be {', '.join(words)} or a number from {least:,.0f} to {most:,.0f}")
    return float(value)


def whole_or(value: Any, words: tuple[str, ...], most: int) -> Any:
    """One of some words, or a number from 1 to ``most``."""
    if value not in words and (type(value) is not int or not 1 <= value <= most):
        raise ValueError(f"should be {', '.join(words)} or a whole number from 1 to {most:,}")
    return value
