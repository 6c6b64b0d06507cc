"""What an adversary has in hand: recorded during a run, read by the attacks, and never the truth.

A view belongs to one round. On disk it is ``view/round-0003.npz`` in a run folder, readable by its owner
alone, beside ``view/agreed.json``: what everybody in the protocol knows. A clear view gives ratings away,
so a run folder with one is not for publishing.
"""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing, writing
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.rules import RULES, Rule, Setting
from fedmf_ray.schemes import Reads
from fedmf_ray.tables import Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Agreed:
    """What users, server and any adversary know: the protocol's settings.

    scheme: its name, for people. server_reads: what it claims that a server can read. rule, rule_settings,
    setting: how users learn. least_rows: how many rows a user uploads at least, decoys included.
    rows_per_block: how many rows share ciphertexts: uploads under encryption name blocks. helpers: users who
    lend the adversary all they have; members: how many of a committee do."""

    scheme: str
    server_reads: Reads
    rule: str
    rule_settings: Mapping[str, Any]
    setting: Setting
    least_rows: int
    rows_per_block: int
    helpers: tuple[int, ...] = ()
    members: int = 0

    @property
    def table(self) -> Table:
        """The item table."""
        return self.rule_object.tables(self.setting)[0]

    @property
    def rule_object(self) -> Rule:
        return RULES.get(self.rule)(**self.rule_settings)

    @property
    def steps(self) -> Steps:
        return self.setting.steps

    @property
    def census(self) -> bool:
        """Whether users do nothing but count themselves in round 0."""
        return self.setting.min_raters > 1

    @classmethod
    def parse(cls, text: str) -> Agreed:
        """What :func:`save` wrote."""
        tree = json.loads(text)
        setting = dict(tree.pop("setting"))
        point, steps = FixedPoint(**setting.pop("point")), Steps(**setting.pop("steps"))
        reads = Reads(tree.pop("server_reads"))
        helpers = tuple(tree.pop("helpers", ()))
        return cls(
            **tree, helpers=helpers, server_reads=reads, setting=Setting(**setting, point=point, steps=steps)
        )


class ClearUpload(NamedTuple):
    """user_id; rows: (k,) of the item matrix; values: (k, width), what the user adds to them."""

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
    """A server that reads what it receives: its scheme hides nothing from it, or a key-holder helps it.

    items: (items, factors), the matrix of the round. Uploads in the order of their arrival.
    """

    round: int
    items: Floats
    uploads: Sequence[ClearUpload]


@dataclass(frozen=True)
class SealedView:
    """A server that receives ciphertexts, in the order of their arrival. No plaintext of a user is in it.

    items: (items, width) V, of a server that reads sums; None of one that does not.
    """

    round: int
    uploads: Sequence[SealedUpload]
    items: Floats | None = None


@dataclass(frozen=True)
class UserView:
    """One user: the item matrix that it decrypted. items: (items, factors)."""

    round: int
    items: Floats


View = ClearView | SealedView | UserView


def save(view: View, agreed: Agreed, folder: Path) -> None:
    """Write one round; only the owner may read it. Raises :class:`FedMFError` if it cannot be written."""
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with writing(folder / "agreed.json"), replacing(folder / "agreed.json", 0o600) as file:
        file.write(json.dumps(asdict(agreed), indent=2).encode())
    arrays: dict[str, Any] = {"round": view.round}
    if view.items is not None:
        arrays["items"] = view.items
    if isinstance(view, ClearView | SealedView):
        arrays["user_ids"] = np.array([upload.user_id for upload in view.uploads], np.int64)
        arrays["starts"] = np.cumsum([0, *(len(upload.rows) for upload in view.uploads)])
        arrays["rows"] = _joined([upload.rows for upload in view.uploads])
        name = "values" if isinstance(view, ClearView) else "ciphertexts"
        arrays[name] = _joined([upload[2] for upload in view.uploads])
    path = folder / f"round-{view.round:04d}.npz"
    with writing(path), replacing(path, 0o600) as file:
        np.savez(file, **arrays)


def load(folder: Path) -> tuple[Agreed, list[View]]:
    """All rounds of a view in order; raises :class:`FedMFError` if there is none or it is damaged."""
    try:
        agreed = Agreed.parse((folder / "agreed.json").read_text(encoding="utf-8"))
        views = [_read(path) for path in sorted(folder.glob("round-*.npz"))]
        _ = agreed.rule_object  # its settings must be those of the rule
    except FileNotFoundError:
        raise FedMFError(f"{folder}: holds no view: run the scenario with observe.who") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise FedMFError(f"{folder}: is not a whole view: {error}") from error
    if not views:
        raise FedMFError(f"{folder}: holds no round")
    return agreed, views


def _read(path: Path) -> View:
    with np.load(path, allow_pickle=False) as arrays:
        number = int(arrays["round"])
        if "rows" not in arrays:
            return UserView(number, arrays["items"])
        rows, clear = arrays["rows"], "values" in arrays
        payload = arrays["values" if clear else "ciphertexts"]
        pieces = [slice(*border) for border in itertools.pairwise(arrays["starts"].tolist())]
        ids = arrays["user_ids"].tolist()
        parts = [(user, rows[piece], payload[piece]) for user, piece in zip(ids, pieces, strict=True)]
        if clear:
            return ClearView(number, arrays["items"], [ClearUpload(*part) for part in parts])
        items = arrays.get("items")
        return SealedView(number, [SealedUpload(*part) for part in parts], items)


def consecutive(views: Sequence[View]) -> Iterator[tuple[View, View]]:
    """Pairs of views of rounds t and t + 1."""
    by_round = {view.round: view for view in views}
    return ((view, by_round[view.round + 1]) for view in views if view.round + 1 in by_round)


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One after the other; none where no upload arrived in time."""
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
