"""What an opener checks of a closed round before it computes anything with its secret."""

from __future__ import annotations

import numpy as np

from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.streams import NONCE_BYTES
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, NUMBER_BYTES, Sums, TagSums
from fedmf_ray.schemes.messages import Closed
from fedmf_ray.schemes.sides import Known


def is_bytes(array: object, shape: tuple[int | None, ...], kind: type = np.uint8) -> bool:
    """Whether something is an array of this shape, where None stands for any number, and of this kind."""
    return (
        isinstance(array, np.ndarray)
        and array.dtype == kind
        and array.ndim == len(shape)
        and all(want is None or have == want for have, want in zip(array.shape, shape, strict=True))
    )


def check_form(closed: Closed, row_bytes: int, summed: bool = True) -> None:
    """Raise ``ValueError`` for sums that are none. row_bytes: of a packed row. summed: they are there, not
    their digest alone."""
    sums = closed.sums
    if not (
        isinstance(closed.round, int)
        and isinstance(closed.first, int)
        and isinstance(closed.head, bytes)
        and is_bytes(closed.credited, (None,), np.int64)
        and isinstance(sums, Sums)
        and is_bytes(sums.start, (None, HEADER_BYTES))
        and is_bytes(sums.totals, (len(sums.start) if summed else 0, row_bytes))
        and is_bytes(sums.counts, (len(sums.start),), np.uint32)
        and is_bytes(sums.nonces, (int(sums.counts.sum(dtype=np.int64)), NONCE_BYTES))
        and is_bytes(sums.whole, (None, NONCE_BYTES))
    ):
        raise ValueError("its lists do not fit its sums")


def check_tags(closed: Closed) -> None:
    """Raise ``ValueError`` for tags that are none, or other users'."""
    tags = closed.tags
    if not (
        isinstance(tags, TagSums)
        and is_bytes(tags.user_ids, (None,), np.int64)
        and np.array_equal(tags.user_ids, closed.credited)
        and is_bytes(tags.nonces, (len(tags.user_ids), NONCE_BYTES))
        and is_bytes(tags.total, (NUMBER_BYTES,))
    ):
        raise ValueError("its tags are not those of the users that it credits")


def check(closed: Closed, known: Known | None, row_bytes: int) -> None:
    """Raise ``ValueError`` with the reason. known: what the opener has read itself; without it, sums are
    opened by themselves, as the contract of schemes does. row_bytes: of a packed row."""
    check_form(closed, row_bytes)
    sums = closed.sums
    _check_nonces(sums)
    if known is None:
        return
    if closed.head != known.heads.get(closed.first):
        raise ValueError("it closed another state than the one that was read")
    if closed.round != known.round:
        raise ValueError(f"it closed round {closed.round}, round {known.round} is open")
    known.check_size(closed.first, len(sums.start))
    check_tags(closed)
    users = len(closed.credited)
    if (closed.credited[1:] <= closed.credited[:-1]).any():
        raise ValueError("a user is credited twice")
    if not known.least <= users <= known.most:
        raise ValueError(f"{users} users have uploaded: {known.least} to {known.most} were expected")
    if sums.counts.size and int(sums.counts.max()) + len(sums.whole) > users:
        raise ValueError("a row has more uploads than there are users")
    if wires.repeated(closed.tags.nonces):
        raise ValueError("two tags have the same nonce")


def _check_nonces(sums: Sums) -> None:
    if wires.repeated(sums.nonces):
        raise ValueError("two uploads have the same nonce")
    # Of an upload of all rows the last four bytes count: two must differ before these.
    if not len(sums.whole):
        return  # looking for nothing in many nonces takes as long as all the rest
    starts = wires.prefixes(sums.whole)
    if len(np.unique(starts)) < len(starts) or np.isin(starts, wires.prefixes(sums.nonces)).any():
        raise ValueError("two uploads have the same nonce")
