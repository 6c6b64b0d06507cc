"""A split that somebody else made: two files, or one with a column that says what is for the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.columns import Floats, Integers, Place, Words
from fedmf_ray.ratings.names import Names, shortened
from fedmf_ray.ratings.table import Ratings

_HELD_OUT = {"test": True, "train": False, "true": True, "false": False, "1": True, "0": False,
             "yes": True, "no": False}  # fmt: skip
"""What a cell of the column may say, in upper or lower case."""


def held_out(column: Words | Integers | Floats, place: Place) -> NDArray[np.bool_]:
    """(rows,) whether each rating is for the test; raises :class:`FedMFError` with the row of another
    word."""
    if not isinstance(column, Words):
        numbers, codes = np.unique(column, return_inverse=True)
        column = Words(codes.astype(np.int64), [f"{number:g}" for number in numbers.tolist()])
    said = []
    for at, word in enumerate(column.words):
        key = word.lower().removesuffix(".0")
        if key not in _HELD_OUT:
            raise place.wrong(
                column.row(at),
                f"{shortened(word)} is neither test nor train (test.column): write test and train, true and "
                "false, 1 and 0, or yes and no",
            )
        said.append(_HELD_OUT[key])
    marks = np.array(said, bool)[column.codes]
    if marks.all() or not marks.any():
        which = "the test" if marks.all() else "training"
        raise FedMFError(f"{place.path}: column {place.column!r} (test.column): all ratings are for {which}")
    return marks


def joined(train: Ratings, test: Ratings, timed: bool) -> Ratings:
    """Two tables as one, in which ``test`` marks the rows of the second.

    timed: whether both have timestamps, or just count their lines.

    Ids that are text are numbered together. The order of lines decides which of two items that are rated
    equally often comes first, and which number a text gets. It is that of the file from which the two were
    cut, as far as that shows (:func:`_order`). Raises :class:`FedMFError` for ids of two types, and for a
    pair of user and item in both.
    """
    users, user_names = _together(train, test, "user")
    items, item_names = _together(train, test, "item")
    mark = np.arange(len(users)) >= len(train.values)
    times = np.concatenate([train.timestamps, test.timestamps])
    order = _order(users, items, times if timed else None, mark, (bool(user_names), bool(item_names)))
    users, items, mark = users[order], items[order], mark[order]
    users, user_names = _renumbered(users, user_names)
    items, item_names = _renumbered(items, item_names)
    names = Names(user_names, item_names)
    _check_apart(users, items, mark, names, train, test)
    values = np.concatenate([train.values, test.values])[order]
    notes = (*train.notes, *(note for note in test.notes if note not in train.notes))
    return Ratings(users, items, values, times[order], train.source, names, notes, mark)


def known_users(ratings: Ratings, source: str) -> Ratings:
    """Without the test ratings of users who have none for training; a note counts them, and those of items
    that nobody rated in training, which stay: they are predicted as under any other split."""
    assert ratings.test is not None
    train = ~ratings.test
    if not train.any():
        raise FedMFError(f"{source}: no rating is left for training")
    stranger = ~np.isin(ratings.user_ids, ratings.user_ids[train])
    held, lost = int(ratings.test.sum()), int(stranger.sum())
    notes = list(ratings.notes)
    if lost == held:
        raise FedMFError(
            f"{source}: no test rating is of a user with ratings for training: are the ids of users written "
            "alike in both?"
        )
    if lost:
        told = f"{source}: {lost} of {held} test ratings are left out"
        notes.append(f"{told}: their users have none to train on")
    kept = replace(ratings.keep(~stranger), notes=tuple(notes))
    cold = int((kept.test & ~np.isin(kept.item_ids, kept.item_ids[~kept.test])).sum())  # type: ignore[operator]
    if cold:
        more = (
            f"{source}: {cold} of {held - lost} test ratings are of items that nobody rated in training: "
            "they count, predicted without knowledge of the item"
        )
        kept = replace(kept, notes=(*kept.notes, more))
    return kept


def who_trains(ratings: Ratings, user_ids: Integers) -> Integers:
    """The chosen users who have ratings for training."""
    assert ratings.test is not None
    return user_ids[np.isin(user_ids, ratings.user_ids[~ratings.test])]


def _together(train: Ratings, test: Ratings, kind: str) -> tuple[Integers, list[str]]:
    """Numbers of users or items of both tables, one after the other, and the texts that they stand for."""
    first, second = (getattr(table, f"{kind}_ids") for table in (train, test))
    names, others = (list(getattr(table.names, f"{kind}s")) for table in (train, test))
    if not names and not others:
        return np.concatenate([first, second]), []
    if not names:
        raise _two_types(train, test, kind, "whole numbers", str(first[0]), "text", _first_text(others))
    known = {name: number for number, name in enumerate(names, 1)}
    if not others:
        numbers, codes = np.unique(second, return_inverse=True)
        others, second = [str(number) for number in numbers.tolist()], codes + 1
        if not known.keys() & set(others):
            raise _two_types(train, test, kind, "text", names[0], "whole numbers", others[0])
    numbers = np.array([known.setdefault(name, len(known) + 1) for name in others], np.int64)
    return np.concatenate([first, numbers[second - 1]]), list(known)


def _two_types(train: Ratings, test: Ratings, kind: str, *found: str) -> FedMFError:
    here, example, there, other = found
    return FedMFError(
        f"{test.source}: ids of {kind}s are {there} such as {shortened(other)}, in {train.source} they are "
        f"{here} such as {shortened(example)}: write them alike in both files"
    )


def _first_text(words: Sequence[str]) -> str:
    return next((word for word in words if not word.isdigit()), words[0])


def _order(
    users: Integers, items: Integers, times: Integers | None, mark: NDArray[np.bool_], text: tuple[bool, bool]
) -> Integers:
    """(rows,) the lines of both files in the order of the file from which they were cut.

    It is told by what both are sorted by: user and item, time, or user and time. Otherwise users come in the
    order of their first training rating, each with its ratings by item, if items have numbers. times: None if
    the files have none. text: whether users, and items, are numbered texts.
    """
    unique, first = np.unique(users, return_index=True)
    rank = np.empty(len(unique), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(unique))
    by_user = rank[np.searchsorted(unique, users)]
    keys: list[tuple[Integers, ...]] = [] if text[1] else [(by_user, items)]
    if times is not None:
        keys += [(times,), (by_user, times)]
    for key in keys:
        order = np.lexsort(key[::-1])
        of_test = mark[order]
        if all((np.diff(order[part]) > 0).all() for part in (of_test, ~of_test)):
            return np.asarray(order)
    fallback = (by_user if text[0] else users, np.zeros_like(items) if text[1] else items)
    return np.asarray(np.lexsort(fallback[::-1]))


def _renumbered(numbers: Integers, names: list[str]) -> tuple[Integers, list[str]]:
    """Texts by first appearance in these lines."""
    if not names:
        return numbers, names
    unique, first, codes = np.unique(numbers, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first, kind="stable")
    new = np.empty(len(unique), np.int64)
    new[by_appearance] = np.arange(1, len(unique) + 1)
    return new[codes], [names[number - 1] for number in unique[by_appearance].tolist()]


def _check_apart(
    users: Integers, items: Integers, mark: NDArray[np.bool_], names: Names, train: Ratings, test: Ratings
) -> None:
    """No pair of user and item may be in both tables."""
    order = np.lexsort((mark, items, users))
    user, item, side = users[order], items[order], mark[order]
    both = np.flatnonzero((user[1:] == user[:-1]) & (item[1:] == item[:-1]) & (side[1:] != side[:-1]))
    if len(both):
        at = both[0]
        pair = f"user {names.show_user(int(user[at]))}, item {names.show_item(int(item[at]))}"
        raise FedMFError(
            f"{test.source}: {pair} is in {train.source}, too ({len(both)} such pairs): a rating is for "
            "training or for the test"
        )
