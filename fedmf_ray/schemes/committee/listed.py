"""Closed sums as members see them: which rows each user says it has uploaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee.wire import LIST_BYTES, UPLOAD_NONCE_BYTES, Committed, ListedTags, rest_of
from fedmf_ray.schemes.masked import heads
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.checks import check_form, check_tags, is_bytes
from fedmf_ray.schemes.messages import Closed
from fedmf_ray.schemes.sides import Known

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Listed:
    """One user's upload in a closed set. at: its position among the credited. nonce: (8,). rows: (k,)
    increasing, within the server's range."""

    at: int
    user_id: int
    nonce: Bytes
    rows: Integers


def check(closed: Closed, known: Known, layout: BitLayout, groups: int) -> None:
    """Raise ``ValueError`` with the reason for a set that no honest server closes. groups: how many."""
    summed = not isinstance(closed.sums, Committed)
    check_form(closed, layout.row_bytes, summed)
    if not summed and not isinstance(closed.sums.digest, bytes):
        raise ValueError("its lists do not fit its sums")
    if closed.head != known.heads.get(closed.first):
        raise ValueError("it closed another state than the one that was read")
    if closed.round != known.round:
        raise ValueError(f"it closed round {closed.round}, round {known.round} is open")
    known.check_size(closed.first, len(closed.sums.start))
    check_tags(closed)
    tags = closed.tags
    if not (isinstance(tags, ListedTags) and is_bytes(tags.lists, (len(tags.user_ids), groups, LIST_BYTES))):
        raise ValueError("its tags are not those of the users that it credits")
    if (closed.credited[1:] <= closed.credited[:-1]).any():
        raise ValueError("a user is credited twice")
    if not known.least <= len(closed.credited) <= known.most:
        raise ValueError(
            f"{len(closed.credited)} users have uploaded: {known.least} to {known.most} were expected"
        )
    if len(np.unique(wires.prefixes(tags.nonces))) < len(tags.nonces):
        raise ValueError("two uploads have the same nonce")


def set_digest(closed: Closed) -> bytes:
    """Of a closed set: whose uploads, of which rows, and what they add up to."""
    rest = rest_of(closed.sums, closed.tags)
    return heads.closed_digest(closed.head, closed.round, closed.first, closed.credited, rest)


def uploads_of(closed: Closed) -> Iterator[Listed]:
    """Each credited user's. Raises ``ValueError`` for rows that are nobody's, or listed twice or
    elsewhere."""
    sums, tags, size = closed.sums, closed.tags, len(closed.sums.start)
    prefixes = wires.prefixes(tags.nonces)
    order = np.argsort(prefixes)
    whole = np.zeros(len(order), bool)
    if len(sums.whole):
        users = _owners(prefixes, order, sums.whole)
        if _labels(sums.whole).any() or len(np.unique(users)) < len(users):
            raise ValueError("an upload of all rows is listed twice, or does not begin with the first")
        whole[users] = True
    users, rows = _owners(prefixes, order, sums.nonces), np.repeat(np.arange(size), sums.counts)
    if not np.array_equal(_labels(sums.nonces), rows):
        raise ValueError("a row is listed where it was not uploaded")
    if whole[users].any():
        raise ValueError("an upload of all rows is listed row by row, too")
    places = np.sort(users * size + rows)
    if (places[1:] == places[:-1]).any():
        raise ValueError("two uploads have the same nonce")
    cuts = np.searchsorted(places, np.arange(len(order) + 1) * size)
    everything = np.arange(size)
    for at, user_id in enumerate(closed.credited.tolist()):
        mine = everything if whole[at] else places[cuts[at] : cuts[at + 1]] - at * size
        yield Listed(at, user_id, tags.nonces[at, :UPLOAD_NONCE_BYTES], mine)


def _owners(prefixes: NDArray[np.uint64], order: Integers, nonces: Bytes) -> Integers:
    """Of each nonce, the position of the user whose upload has it."""
    starts = wires.prefixes(nonces)
    if not len(starts):
        return np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(prefixes, starts, sorter=order), len(order) - 1)
    if not len(order) or not np.array_equal(prefixes[order[at]], starts):
        raise ValueError("a row is of no credited user's upload")
    return np.asarray(order[at])


def _labels(nonces: Bytes) -> Integers:
    return np.ascontiguousarray(nonces).view("<u4")[:, 2].astype(np.int64)
