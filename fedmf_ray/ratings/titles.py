"""Titles of items from a file: they are for people, and nothing is learned from them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import csv_files, parquet_files
from fedmf_ray.ratings.archives import kind_of_file
from fedmf_ray.ratings.columns import LARGEST, Integers, Words
from fedmf_ray.ratings.csv_files import RECOGNISED, Dialect
from fedmf_ray.ratings.names import Names, shortened

_KEY = "ratings.titles"
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,18})(\.0+)?")


def read(
    path: str | Path, item: str, title: str, names: Names, item_ids: Integers, dialect: Dialect = RECOGNISED
) -> tuple[dict[int, str], list[str]]:
    """Title by the number of an item, and notes: how many of ``item_ids`` have none.

    item, title: names of columns. names: the texts of the ids that the ratings have for items. Raises
    :class:`FedMFError` if the file cannot be read, or has a title for no item.
    """
    path = Path(path)
    if not path.exists():
        raise FedMFError(f"{path}: no such file of titles ({_KEY}.path)")
    if item == title:
        raise FedMFError(f"{path}: {_KEY}: {item!r} is named for item and title")
    if path.is_dir() or kind_of_file(path) == "Parquet":
        by_role, notes = parquet_files.read(path, {"item": item, "title": title}, _KEY)
        ids, texts = by_role["item"], by_role["title"]
    else:
        by_name, notes = csv_files.read(path, [item, title], [], dialect, _KEY)
        ids, texts = by_name[item], by_name[title]
    found: dict[int, str] = {}
    numbers, words = _numbers(_as_words(ids), names), _as_words(texts)
    more = 0
    for code, word in zip(numbers.tolist(), words.codes.tolist(), strict=True):
        text = words.words[word]
        if code >= 0 and text and found.setdefault(code, text) != text:
            more += 1
    if more:
        notes.append(f"{path}: items with more than one title keep the first; lines left out: {more}")
    missing = sum(item_id not in found for item_id in item_ids.tolist())
    if missing == len(item_ids):
        example = shortened(names.item(int(item_ids[0])))
        raise FedMFError(
            f"{path}: has a title for none of the {missing} items, such as {example}: is {item!r} the column "
            f"of their ids ({_KEY}.item)?"
        )
    if missing:
        notes.append(f"{path}: {missing} of {len(item_ids)} items have no title and are shown as `item ID`")
    return found, notes


def _as_words(column: Words | Integers | np.ndarray) -> Words:
    if isinstance(column, Words):
        return column
    numbers, codes = np.unique(column, return_inverse=True)
    return Words(codes.astype(np.int64), [str(number) for number in numbers.tolist()])


def _numbers(ids: Words, names: Names) -> Integers:
    """(rows,) the number of each row's item; -1 where the ratings have no such id."""
    if names.items:
        known = {name: number for number, name in enumerate(names.items, 1)}
        numbers = [known.get(word, -1) for word in ids.words]
    else:
        found = [_WHOLE.fullmatch(word) for word in ids.words]
        numbers = [int(one[1]) if one and int(one[1]) <= LARGEST else -1 for one in found]
    return np.array(numbers, np.int64)[ids.codes]
