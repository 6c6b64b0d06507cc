"""The scheme ``committee`` as an object."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from fedmf_ray.schemes.base import Evaluator, KeyHolder, Reads, Rows, Scheme, Secrets, Shape, Traffic
from fedmf_ray.schemes.committee.server import CommitteeEvaluator
from fedmf_ray.schemes.committee.signed import link_bytes
from fedmf_ray.schemes.committee.users import CommitteeKeyHolder
from fedmf_ray.schemes.committee.wire import LIST_BYTES
from fedmf_ray.schemes.council import Council
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.heads import HEAD_BYTES
from fedmf_ray.schemes.masked.streams import KEY_BYTES, NONCE_BYTES
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, NUMBER_BYTES, TAG_BYTES

_MOST = 12
"""Members: more have too many groups for a user to share a key with each."""

_CORRUPT = 0.1
"""Of users: for which share the risk is told."""


@dataclass(frozen=True)
class Committee(Scheme):
    """Values under masks from keys that a user shares with groups of members: all groups open a round
    together.

    members: how many users sit in the committee. colluding: so many of them may work together, with the
    server and all other users, and still open nothing but sums."""

    name: ClassVar[str] = "committee"
    server_reads: ClassVar[Reads] = Reads.ROWS
    lightweight: ClassVar[bool] = True
    opens: ClassVar[bool] = True
    unit_rows: ClassVar[tuple[int, int]] = (16, 1024)

    members: int = 4
    colluding: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.members <= _MOST:
            raise ValueError(f"members: {self.members} is not between 2 and {_MOST}")
        if not 1 <= self.colluding < self.members:
            raise ValueError(
                f"colluding: {self.colluding} of {self.members} members would be all of them, or nobody: "
                f"name 1 to {self.members - 1}"
            )
        if 2 * self.colluding >= self.members:
            raise ValueError(
                f"colluding: {self.colluding} of {self.members} members leave no honest majority: "
                f"name at least {2 * self.colluding + 1} members"
            )

    @property
    def combines(self) -> bool:
        return True

    @property
    def council(self) -> Council:
        return Council(self.members, self.colluding)

    @property
    def label(self) -> str:
        return f"{self.name} {self.members}/{self.colluding}"

    @property
    def _groups(self) -> int:
        return len(self.council.groups)

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        secret = secrets["secret"].tobytes() if secrets else os.urandom(KEY_BYTES)
        key = CommitteeKeyHolder(secret, shape, self.members, self.colluding)
        return CommitteeEvaluator(shape, key.public), key

    def block_bytes(self, shape: Shape) -> int:
        return HEADER_BYTES + BitLayout.of(shape).row_bytes

    def tag_bytes(self) -> int:
        return TAG_BYTES + self._groups * LIST_BYTES

    def published_bytes(self, shape: Shape, blocks: int) -> int:
        """With a number as tag, two digests, and signed lives."""
        return blocks * self.block_bytes(shape) + NUMBER_BYTES + 2 * HEAD_BYTES + link_bytes(self.members)

    def upload_overhead(self) -> int:
        return self.tag_bytes() + HEAD_BYTES

    def opening_bytes(self, shape: Shape, blocks: int, uploaded: int, users: int, full_text: bool) -> Traffic:
        """Of all members together: lists and signatures for each, a part of each group, the next tables for a
        quorum."""
        listed = users if full_text and blocks > 1 else uploaded
        row = BitLayout.of(shape).row_bytes
        lists = blocks * 4 + listed * NONCE_BYTES + users * (8 + 8 + self.tag_bytes()) + NUMBER_BYTES
        down = self.members * (lists + blocks * (HEADER_BYTES + self.block_bytes(shape)))
        up = (
            self.members * (64 + 64 + NUMBER_BYTES)
            + self._groups * (blocks * row + 128)
            + blocks * NONCE_BYTES
        )
        return Traffic(down, up)

    def layout(self, rows: Rows) -> str:
        each = self.block_bytes(rows.shape(1))
        return (
            f"masked integers, {rows.value_bits} bits per value, {each:,} bytes per row; "
            f"{self._groups} groups open each round"
        )

    def notes(self) -> list[str]:
        council = self.council
        lines = [
            f"committee: {self.members} users are members, {council.quorum} sign; if {_CORRUPT:.0%} of "
            f"users are corrupt, more than {self.colluding} of the members are with a probability of "
            f"{council.risk(_CORRUPT):.1%}"
        ]
        if self.members < 3 * self.colluding + 1:
            lines.append(
                f"committee {self.members}/{self.colluding} is for a server that follows the protocol, or "
                f"for honest members: against both at once, name {3 * self.colluding + 1} members"
            )
        return lines
