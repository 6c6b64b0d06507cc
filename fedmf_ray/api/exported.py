"""A run's items, users' vectors and predictions as files, from the users' side.

    items.csv          V as users see it, under their own ids
    users.csv          a row per user: its vector, and its bias
    predictions.csv    a row per held-out rating: user, item, title, rating, expected
    README.txt         what is private

A vector tells what a user likes, and predictions name what it rated: the folder is for its owner alone.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import sync_folder, writing

if TYPE_CHECKING:
    import pandas as pd

    from fedmf_ray.api.runs import Run

FORMATS = ("csv", "parquet")

PRIVATE = (
    "users and predictions are private: a vector tells what a user likes, and predictions name what it "
    "rated; items are known to every user, and to no server"
)
"""What a person should know who has these files."""


def export(run: Run, folder: Path, form: str) -> Path:
    """Write the folder and return its path. Raises :class:`FedMFError`, and leaves nothing then, if it is
    there already, inside of a run folder, or cannot be written."""
    if form not in FORMATS:
        raise FedMFError(f"format: {form!r}: give one of {', '.join(FORMATS)}")
    if form == "parquet":
        try:
            import pyarrow  # noqa: F401 - pandas writes with it
        except ImportError:
            raise FedMFError("format: parquet needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
    folder = folder.expanduser().absolute()
    _check_place(run.path, folder)
    tables = {"items": run.items(), "users": _vectors(run), "predictions": _predictions(run)}
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside.mkdir(mode=0o700)
            for name, table in tables.items():
                _write(table, beside / f"{name}.{form}", form, index=name == "items")
            _private(beside / "README.txt").write_text(_readme(run, form), encoding="utf-8")
            beside.rename(folder)  # onto an empty folder, or onto nothing
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


def _check_place(run: Path, folder: Path) -> None:
    there = folder.resolve()
    if there.is_relative_to(run.resolve()):
        raise FedMFError(
            f"{folder}: is inside the run folder, which is shared and holds nothing private: choose another"
        )
    for above in (there, *there.parents):
        if (above / "scenario.yaml").is_file() and (above / "environment.json").is_file():
            raise FedMFError(f"{folder}: is inside a run folder ({above}), which is shared: choose another")
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise FedMFError(f"{folder}: is there already: choose another, or remove it")


def _vectors(run: Run) -> pd.DataFrame:
    import pandas as pd

    ids, model = run._user_ids.index, run.scenario.model
    vectors = run._side.vectors(np.arange(len(ids)))
    columns: dict[str, Any] = {"user": ids}
    if not run._side.plan.terms.rule.has_factors:
        return pd.DataFrame(columns | {"mean": vectors[:, 0]})
    if model.biases:
        columns["bias"] = vectors[:, model.factors]
    columns |= {f"factor_{at}": vectors[:, at] for at in range(model.factors)}
    return pd.DataFrame(columns)


def _predictions(run: Run) -> pd.DataFrame:
    import pandas as pd

    side, users = run._side, run._user_ids.index
    held_out = [side.ratings_of(position) for position in range(len(users))]
    positions = np.repeat(np.arange(len(users)), [len(one.test_items) for one in held_out])
    rows = np.concatenate([one.test_items for one in held_out]).astype(np.int64)
    columns: dict[str, Any] = {"user": users[positions], "item": run._item_ids.index[rows]}
    if run._titled:
        columns["title"] = run._titles(rows)
    columns["rating"] = np.concatenate([one.test_values for one in held_out])
    columns["expected"] = side.expected(positions, rows)
    return pd.DataFrame(columns)


def _write(table: pd.DataFrame, path: Path, form: str, index: bool) -> None:
    _private(path)
    if form == "csv":
        table.to_csv(path, index=index, lineterminator="\n")
    else:
        (table.reset_index() if index else table).to_parquet(path, index=False)


def _private(path: Path) -> Path:
    """An empty file that nobody else may read, before anything is in it."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    return path


def _readme(run: Run, form: str) -> str:
    model = run.scenario.model
    rule = run._side.plan.terms.rule
    parts = f"{model.mean:g} + user bias + item bias + <user, item>" if model.biases else "<user, item>"
    if not model.biases and model.mean:
        parts = f"{model.mean:g} + {parts}"
    if not rule.has_factors:
        parts = (
            f"the user's own mean, {model.mean:g} + mean: rule {rule.name} makes lists and predicts nothing"
        )
    return (
        f"From the users' side of {run.path}, after {run._side.round} rounds.\n\n{PRIVATE.capitalize()}.\n\n"
        f"items.{form}         a row per item: the item matrix as users read it\n"
        f"users.{form}         a row per user: {'its vector' if rule.has_factors else 'its mean'}\n"
        f"predictions.{form}   a row per held-out rating, and what was expected\n\n"
        f"A rating is expected to be {parts}.\n"
    )
