"""Ratings, test sets and titles that a caller hands over: a frame becomes a file on the users' side.

The scenario then names that file, so that resume, audit and recommend read the same later, in any process.
Ids stay what they are: numbers, or text. Where all ids of a column are text that could be taken for numbers
("7"), its column in the file is named so that they are text again when they are shown (``user_text``).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedmf_ray.api.own_ids import as_text
from fedmf_ray.api.tables import frame_of
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import pandas as pd

    from fedmf_ray.scenario.schema import Scenario

_TEXT = "_text"
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,18})(\.0+)?")
_KEPT = ("select", "scale", "titles")
"""Keys of ``ratings`` that say what to make of a table, not where it is."""


def put_into(tree: dict[str, Any], ratings: Any, test: Any, titles: Any) -> dict[str, Path]:
    """Write what is given into files, and let a scenario's keys name them; the files by what they were given
    as. Raises :class:`FedMFError` before anything is written if one of them cannot be used.
    """
    files: dict[str, Path] = {}
    columns = {"user": "user", "item": "item", "rating": "rating"}
    written: dict[str, bytes] = {}
    if ratings is not None:
        table = _ratings("ratings", ratings)
        columns = {role: _named(table, role) for role in table}
        written["ratings"] = _csv(table, columns)
    elif (test is not None or titles is not None) and not isinstance(tree.get("ratings"), dict):
        raise FedMFError(
            f"{'test' if test is not None else 'titles'}: belongs to ratings, and the scenario has none: "
            "give ratings= too"
        )
    else:
        columns |= {key: name for key, name in _columns_of(tree).items() if name}
    if test is not None:
        held_out = _ratings("test", test)
        if "timestamp" in columns and "timestamp" not in held_out:
            raise FedMFError(
                "test: no column 'timestamp', which ratings have: give it in both, or in neither"
            )
        held_out = {role: column for role, column in held_out.items() if role in columns}
        written["test"] = _csv(held_out, columns)
    if titles is not None:
        written["titles"] = _titles(titles)
    from fedmf_ray.storage import frames

    for kind, content in written.items():
        files[kind] = frames.keep(kind, content)
    if "ratings" in files:
        before = tree.get("ratings")
        kept = {key: before[key] for key in _KEPT if key in before} if isinstance(before, dict) else {}
        # Nothing is left to be recognised: cells hold what these lines have written.
        how = {"separator": ",", "quoting": "multiline"}
        tree["ratings"] = {"source": "file", "path": str(files["ratings"]), "columns": columns, **how, **kept}
    if "test" in files:
        tree["test"] = {"file": str(files["test"])}
    if "titles" in files:
        tree["ratings"]["titles"] = {"path": str(files["titles"]), "item": "item", "title": "title"}
    return files


def text_ids(scenario: Scenario) -> tuple[bool, bool]:
    """Whether users' and items' ids were handed over as text, though they look like numbers."""
    columns = getattr(scenario.ratings, "columns", None)
    return (
        str(getattr(columns, "user", "")) == f"user{_TEXT}",
        str(getattr(columns, "item", "")) == f"item{_TEXT}",
    )


@contextmanager
def called_by_name(files: Mapping[str, Path]) -> Iterator[None]:
    """Within the block, errors call a file what it was given as: ``ratings=`` instead of its path."""
    try:
        yield
    except FedMFError as error:
        said = str(error)
        for name, path in files.items():
            said = said.replace(str(path), f"{name}=")
        said = said.replace("use --results", "give another results=")
        if said == str(error) or type(error) is not FedMFError:
            raise
        raise FedMFError(said) from error


def _ratings(name: str, given: Any) -> dict[str, pd.Series]:
    """The columns by role, checked. Messages count rows from 0, as frames do."""
    import pandas as pd

    frame = frame_of(given, name, ("user", "item", "rating"))
    if frame.empty:
        raise FedMFError(f"{name}: holds no ratings")
    table = {role: frame[role].reset_index(drop=True) for role in ("user", "item", "rating")}
    if "timestamp" not in frame:
        _look_for_times(name, [str(column) for column in frame.columns if column not in table])
    else:
        table["timestamp"] = _times(frame["timestamp"].reset_index(drop=True))
    for role, column in table.items():
        missing = column.isna().to_numpy()
        if missing.any():
            raise FedMFError(
                f"{name}: row {int(missing.argmax())}: {role} is missing: drop that row, or fill it"
            )
    numbers = pd.to_numeric(table["rating"], errors="coerce").astype(float)
    finite = np.isfinite(numbers.to_numpy())
    if not finite.all():
        at = int(np.argmin(finite))
        raise FedMFError(f"{name}: row {at}: rating {table['rating'].iloc[at]!r} is not a finite number")
    table["rating"] = numbers
    for role in ("user", "item"):
        table[role] = _ids(table[role])
        empty = (table[role] == "").to_numpy()
        if empty.any():
            raise FedMFError(f"{name}: row {int(empty.argmax())}: {role} is empty")
    twice = pd.DataFrame({role: table[role] for role in ("user", "item")}).duplicated(keep=False).to_numpy()
    if twice.any():
        first = int(twice.argmax())
        same = (table["user"] == table["user"][first]) & (table["item"] == table["item"][first])
        second = int(np.flatnonzero(same.to_numpy())[1])
        raise FedMFError(
            f"{name}: user {table['user'][first]!r} rated item {table['item'][first]!r} more than once (rows "
            f"{first} and {second}): keep one: {name}.drop_duplicates(['user', 'item'], keep='last')"
        )
    return table


def _look_for_times(name: str, others: Sequence[str]) -> None:
    """Warn of a column that looks like times under another name: without times, rows count as sorted."""
    from fedmf_ray.ratings.inspecting import guessed

    times = guessed("timestamp", others)
    if times is not None:
        warnings.warn(
            f"{name}: column {times!r} is not used, and rows count as sorted by time; if it holds times, "
            f"rename it: {name}.rename(columns={{{times!r}: 'timestamp'}})",
            UserWarning,
            stacklevel=2,
        )


def _ids(column: pd.Series) -> pd.Series:
    """As texts; ``attrs`` says whether they were text before."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    number = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    if pd.api.types.is_integer_dtype(column.dtype):
        texts = column.astype("int64" if column.dtype.kind != "u" else column.dtype).astype(str)
    else:
        texts = column.map(as_text)
    texts = texts.astype(object)
    texts.attrs["text"] = not number and not column.map(lambda value: isinstance(value, int | float)).all()
    return texts


def _times(column: pd.Series) -> pd.Series:
    """Dates as nanoseconds: only their order matters."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype) and not column.isna().any():
        return column.astype("int64")
    return column


def _named(table: Mapping[str, pd.Series], role: str) -> str:
    """The name of a column in the file."""
    column = table[role]
    if role in ("user", "item") and column.attrs.get("text") and all(map(_WHOLE.fullmatch, column.unique())):
        return f"{role}{_TEXT}"
    return role


def _csv(table: Mapping[str, pd.Series], columns: Mapping[str, str]) -> bytes:
    import pandas as pd

    text = io.StringIO()
    frame = pd.DataFrame({columns.get(role, role): column for role, column in table.items()})
    frame.to_csv(text, index=False, lineterminator="\n")
    try:
        return text.getvalue().encode()
    except UnicodeEncodeError as error:
        raise FedMFError(f"ids: {error.object[error.start]!r} is no character of UTF-8: replace it") from None


def _titles(given: Any) -> bytes:
    """From a dict, a Series (ids are its index) or a frame with item and title."""
    import pandas as pd

    if isinstance(given, Mapping):
        table = pd.DataFrame({"item": list(given.keys()), "title": list(given.values())})
    elif isinstance(given, pd.Series):
        table = pd.DataFrame({"item": given.index, "title": given.to_numpy()})
    else:
        table = frame_of(given, "titles", ("item", "title"))
    table = table[~table["title"].isna()]
    if table.empty:
        raise FedMFError("titles: holds no title")
    items = _ids(table["item"].reset_index(drop=True))
    texts = table["title"].reset_index(drop=True).map(lambda title: " ".join(str(title).split()))
    kept = ~pd.DataFrame({"item": items}).duplicated().to_numpy()
    return _csv({"item": items[kept], "title": texts[kept]}, {})


def _columns_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What the columns of the scenario's own table are called."""
    ratings = tree.get("ratings")
    columns = ratings.get("columns") if isinstance(ratings, dict) else None
    return dict(columns) if isinstance(columns, dict) else {}
