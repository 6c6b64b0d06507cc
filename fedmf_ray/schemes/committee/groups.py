"""Who sits in a committee: m members of whom t may collude, their groups, and how many make a quorum.

A group is what is left without some t members. So whichever t collude, one group has none of them; and any
member may be away as long as every group has somebody left.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Sequence


def groups_of(members: int, colluding: int) -> list[tuple[int, ...]]:
    """The members of each group, by number."""
    return list(itertools.combinations(range(members), members - colluding))


def quorum_of(members: int, colluding: int) -> int:
    """So many members that any two such sets share an honest one, if the honest answer once."""
    return (members + colluding) // 2 + 1


def covers(groups: Sequence[tuple[int, ...]], there: Collection[int]) -> bool:
    """Whether each group has somebody among those who are there."""
    return all(any(member in there for member in group) for group in groups)


def drawn(user_ids: Sequence[int], members: int, beacon: bytes) -> list[int]:
    """The users who sit in the committee, by seat: those with the smallest SHA-256 of public randomness that was
    fixed after the list of users, and their number."""
    if members > len(user_ids):
        raise ValueError(
            f"protocol.committee.members: {members} members of {len(user_ids)} users: name fewer members"
        )
    lots = {one: hashlib.sha256(b"fedmf-ray seat" + beacon + one.to_bytes(8, "little")).digest() for one in user_ids}
    return sorted(user_ids, key=lots.__getitem__)[:members]


def too_many_corrupt(members: int, colluding: int, share: float) -> float:
    """The probability that more than ``colluding`` of the members are corrupt, if that share of many users
    is."""
    return sum(
        math.comb(members, k) * share**k * (1 - share) ** (members - k) for k in range(colluding + 1, members + 1)
    )
