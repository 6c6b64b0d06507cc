"""What an opener checks of a closed round before it computes anything with its secret."""

from __future__ import annotations

import numpy as np

from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.wire import Sums, TagSums
from fedmf_ray.schemes.messages import Closed
from fedmf_ray.schemes.sides import Known


def check(closed: Closed, known: Known | None) -> None:
    """Raise ``ValueError`` with the reason. known: what the opener has read itself; without it, sums are
    opened by themselves, as the contract of schemes does."""
    sums = closed.sums
    if not isinstance(sums, Sums) or int(sums.counts.sum(dtype=np.int64)) != len(sums.nonces):
        raise ValueError("its lists do not fit its sums")
    _check_nonces(sums)
    if known is None:
        return
    if closed.head != known.heads.get(closed.first):
        raise ValueError("it closed another state than the one that was read")
    if closed.round != known.round:
        raise ValueError(f"it closed round {closed.round}, round {known.round} is open")
    tags = closed.tags
    if not isinstance(tags, TagSums) or not np.array_equal(tags.user_ids, closed.credited):
        raise ValueError("its tags are not those of the users that it credits")
    users = len(closed.credited)
    if (closed.credited[1:] <= closed.credited[:-1]).any():
        raise ValueError("a user is credited twice")
    if not known.least <= users <= known.most:
        raise ValueError(f"{users} users have uploaded: {known.least} to {known.most} were expected")
    if sums.counts.size and int(sums.counts.max()) + len(sums.whole) > users:
        raise ValueError("a row has more uploads than there are users")
    if wires.repeated(tags.nonces):
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
