"""What an adversary has in hand: recorded during a run, read by the attacks, and never the truth.

A view belongs to one round. On disk it is ``view/round-0003.npz`` in a run folder, readable by its owner
alone, beside ``view/agreed.json``: what everybody in the protocol knows. A clear view gives ratings away,
so a run folder with one is not for publishing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.factors import RULES, Steps
from fedmf_ray.learning.rows import RowLayout

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Agreed:
    """What users, server and any adversary know: the protocol's settings.

    least_rows: how many rows a user uploads at least, decoys included. rows_per_block: how many rows share
    ciphertexts: uploads under encryption name blocks. factors, biases, raters, prior: what columns a row has.
    min_raters: users upload zeros for rows with fewer; above 1, round 0 is a census.
    """

    scheme: str
    rule: str
    learning_rate: float
    reg_user: float
    reg_item: float
    fraction_bits: int
    items: int
    least_rows: int
    reg_user_bias: float = 0.0
    reg_item_bias: float = 0.0
    mean: float = 0.0
    factors: int = 0
    biases: bool = False
    raters: bool = False
    prior: tuple[float, ...] = ()
    min_raters: int = 1
    rows_per_block: int = 1

    @property
    def layout(self) -> RowLayout:
        """The columns of an item row."""
        return RowLayout(self.factors, self.biases, self.raters, tuple(self.prior))

    @property
    def census(self) -> bool:
        """Whether users do nothing but count themselves in round 0."""
        return self.min_raters > 1

    @property
    def steps(self) -> Steps:
        return Steps(**{field.name: getattr(self, field.name) for field in fields(Steps)})


class ClearUpload(NamedTuple):
    """user_id; rows: (k,) of the item matrix; values: (k, factors), minus the item steps."""

    user_id: int
    rows: Integers
    values: Floats


class SealedUpload(NamedTuple):
    """user_id; rows: (k,) blocks of item rows; ciphertexts: (k, ciphertexts, bytes) uint8."""

    user_id: int
    rows: Integers
    ciphertexts: NDArray[np.uint8]


@dataclass(frozen=True)
class ClearView:
    """A server that reads what it receives: scheme ``plain``, or a key-holder helps it.

    items: (items, factors), the matrix of the round. Uploads in the order of their arrival.
    """

    round: int
    items: Floats
    uploads: Sequence[ClearUpload]


@dataclass(frozen=True)
class SealedView:
    """A server that receives ciphertexts, in the order of their arrival. There is no plaintext in it."""

    round: int
    uploads: Sequence[SealedUpload]


@dataclass(frozen=True)
class UserView:
    """One user: the item matrix that it decrypted. items: (items, factors)."""

    round: int
    items: Floats


View = ClearView | SealedView | UserView


def save(view: View, agreed: Agreed, folder: Path) -> None:
    """Write one round; only the owner may read it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private(folder / "agreed.json", json.dumps(asdict(agreed), indent=2).encode())
    arrays: dict[str, Any] = {"round": view.round}
    if isinstance(view, UserView | ClearView):
        arrays["items"] = view.items
    if isinstance(view, ClearView | SealedView):
        arrays["user_ids"] = np.array([upload.user_id for upload in view.uploads], np.int64)
        arrays["starts"] = np.cumsum([0, *(len(upload.rows) for upload in view.uploads)])
        arrays["rows"] = np.concatenate([upload.rows for upload in view.uploads])
        name = "values" if isinstance(view, ClearView) else "ciphertexts"
        arrays[name] = np.concatenate([upload[2] for upload in view.uploads])
    path = folder / f"round-{view.round:04d}.npz"
    _private(path, b"")
    np.savez(path, **arrays)


def load(folder: Path) -> tuple[Agreed, list[View]]:
    """All rounds of a view in order; raises :class:`FedMFError` if there is none or it is damaged."""
    try:
        agreed = Agreed(**json.loads((folder / "agreed.json").read_text()))
        views = [_read(path) for path in sorted(folder.glob("round-*.npz"))]
    except FileNotFoundError:
        raise FedMFError(f"{folder}: holds no view: run the scenario with observe.who") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise FedMFError(f"{folder}: is not a whole view: {error}") from error
    if not views:
        raise FedMFError(f"{folder}: holds no round")
    if agreed.rule not in (*RULES, "ridge"):
        raise FedMFError(f"{folder}: rule {agreed.rule!r} is not known to any attack")
    return agreed, views


def _read(path: Path) -> View:
    with np.load(path, allow_pickle=False) as arrays:
        number = int(arrays["round"])
        if "rows" not in arrays:
            return UserView(number, arrays["items"])
        starts, rows = arrays["starts"][1:-1], arrays["rows"]
        clear = "values" in arrays
        payload = arrays["values" if clear else "ciphertexts"]
        parts = zip(
            arrays["user_ids"].tolist(), np.split(rows, starts), np.split(payload, starts), strict=True
        )
        if clear:
            return ClearView(number, arrays["items"], [ClearUpload(*part) for part in parts])
        return SealedView(number, [SealedUpload(*part) for part in parts])


def consecutive(views: Sequence[View]) -> Iterator[tuple[View, View]]:
    """Pairs of views of rounds t and t + 1."""
    by_round = {view.round: view for view in views}
    return ((view, by_round[view.round + 1]) for view in views if view.round + 1 in by_round)


def _private(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
