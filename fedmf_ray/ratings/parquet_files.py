"""Tables in Parquet files, and in folders of them."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.archives import broken, kind_of_file
from fedmf_ray.ratings.columns import LARGEST, Collector, Floats, Integers, Place, Words

_EXACT = 1 << 53
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def files_in(path: Path) -> list[Path]:
    """The Parquet files of a folder by name; those with a dot or _ in front are not data."""
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(path).parts)
    ]
    if not found:
        raise FedMFError(f"{path}: is a folder without Parquet files")
    for file in found:
        if kind_of_file(file) != "Parquet":
            raise FedMFError(f"{file}: is no Parquet file: a folder of ratings may hold nothing else")
    return found


def column_names(path: Path) -> list[str]:
    """Of a file, or of the first file of a folder and of its partitions."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise FedMFError(f"{path}: Parquet needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
    file = files_in(path)[0] if path.is_dir() else path
    try:
        return [*pq.read_schema(file).names, *(_partitions(file, path) if path.is_dir() else ())]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise broken(path, "Parquet", error) from error


_ID_ROLES = ("user", "item", "held_out", "title")
"""Roles whose cells are words or whole numbers."""


def read(
    path: Path, columns: Mapping[str, str], key: str = "ratings.columns"
) -> tuple[dict[str, Words | Integers | Floats], list[str]]:
    """The columns by role, and notes about them; ``columns`` gives the name of each role.

    key: of the scenario, which names the columns. Raises :class:`FedMFError`.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise FedMFError(f"{path}: Parquet needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
    files = files_in(path) if path.is_dir() else [path]
    parts = [_arrays(file, path, columns, key) for file in files]
    found: dict[str, Words | Integers | Floats] = {}
    notes: list[str] = []
    for role, name in columns.items():
        arrays = [part[role] for part in parts]
        for file, array in zip(files, arrays, strict=True):
            if array.type != arrays[0].type:
                raise FedMFError(
                    f"{file}: column {name!r} is {array.type}, in {files[0].name} it is {arrays[0].type}"
                )
        place = Place(path, name)
        try:
            column = pa.concat_arrays(arrays)
            if column.null_count and role == "title":
                column = column.cast(pa.string()).fill_null("")
            if column.null_count:
                raise place.wrong(column.is_null().index(True).as_py() + 1, "is empty")
            read_as = _ids if role in _ID_ROLES else _values
            found[role] = read_as(column, role, place, notes)
        except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
            raise broken(path, "Parquet", error) from error
    return found, notes


def _arrays(file: Path, root: Path, columns: Mapping[str, str], key: str) -> dict[str, Any]:
    """One Arrow array of each role."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
        partitions = _partitions(file, root)
        for name in columns.values():
            if names.count(name) > 1:
                raise FedMFError(f"{file}: two columns are named {name!r}: name one of them otherwise")
            if name not in names and name not in partitions:
                shown = ", ".join([*names, *partitions])[:200]
                raise FedMFError(f"{file}: no column {name!r} ({key}); it has {shown}")
        data = table.read(columns=[name for name in columns.values() if name in names])
        found = {}
        for role, name in columns.items():
            if name in names:
                array = data.column(name).combine_chunks()
                array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
                array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
            else:
                array = pa.array([partitions[name]] * table.metadata.num_rows, pa.string())
            found[role] = array
        return found
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        raise broken(file, "Parquet", error) from error


def _partitions(file: Path, root: Path) -> dict[str, str | None]:
    """Columns that are in the names of folders, as in ``year=2020/part-0.parquet``. They are text."""
    if file == root:
        return {}
    folders = (part.partition("=") for part in file.relative_to(root).parts[:-1])
    found = {key: urllib.parse.unquote(value) for key, equals, value in folders if equals}
    return {key: None if value == _NO_PARTITION else value for key, value in found.items()}


def _ids(column: Any, role: str, place: Place, notes: list[str]) -> Words | Integers:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind):
        numbers = column.to_numpy(zero_copy_only=False)
        if not len(numbers) or (numbers.min() >= 0 and numbers.max() <= LARGEST):
            return np.asarray(numbers, np.int64)
        return _words(column.cast(pa.string()))
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        missing = np.isnan(values)
        if missing.any():
            raise place.wrong(int(missing.argmax()) + 1, "is empty")
        if (np.abs(values) >= _EXACT).any():
            notes.append(
                f"{place.path}: column {place.column!r} has ids over 2**53 as floating-point numbers: those "
                "that were neighbours before they were written may be one now"
            )
        return _numbers_as_words(pa.array(values))
    if pa.types.is_decimal(kind):
        return _numbers_as_words(column)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return _words(column.cast(pa.string()))
    if _is_text(kind):
        return _words(column)
    raise FedMFError(f"{place.path}: column {place.column!r} holds {_shown(kind)}: ids are numbers or text")


def _values(column: Any, role: str, place: Place, notes: list[str]) -> Words | Integers | Floats:
    """Ratings and times."""
    import pyarrow as pa

    kind = column.type
    if _is_text(kind):
        return _words(column)
    if role == "timestamp":
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            bits = column.type.bit_width
            return np.asarray(column.view(pa.int32() if bits == 32 else pa.int64()).to_numpy(), np.int64)
        if pa.types.is_integer(kind):
            numbers = column.to_numpy(zero_copy_only=False)
            if not len(numbers) or numbers.max() <= LARGEST:
                return np.asarray(numbers, np.int64)
            return _words(column.cast(pa.string()))
        if pa.types.is_decimal(kind):
            return _words(column.cast(pa.string()))
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        what = "times are numbers, dates or text" if role == "timestamp" else "ratings are numbers"
        raise FedMFError(f"{place.path}: column {place.column!r} holds {_shown(kind)}: {what}")
    values = np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        at = int(np.argmin(finite))
        raise place.wrong(at + 1, f"'{values[at]}' is not a finite number")
    return values


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests) or str(kind) in ("string_view", "binary_view")


def _numbers_as_words(column: Any) -> Words:
    """As whole numbers, if all of them are."""
    encoded = column.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    whole = all(math.isfinite(value) and value == int(value) for value in values)
    collector = Collector()
    collector.add(_codes(encoded), [str(int(value)) if whole else str(value) for value in values])
    return collector.words()


def _words(column: Any) -> Words:
    import pyarrow as pa

    encoded = column.cast(pa.string()).dictionary_encode()  # bytes that are no UTF-8 are an error
    collector = Collector()
    collector.add(_codes(encoded), encoded.dictionary.to_pylist())
    return collector.words()


def _codes(encoded: Any) -> Integers:
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _shown(kind: Any) -> str:
    return " ".join(str(kind).split())[:60]
