"""The scheme ``committee`` as an object."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import ClassVar

from fedmf_ray.schemes.base import Evaluator, KeyHolder, Reads, Rows, Scheme, Secrets, Shape, Traffic
from fedmf_ray.schemes.committee import kem
from fedmf_ray.schemes.committee.server import CommitteeEvaluator
from fedmf_ray.schemes.committee.signed import LIFE_BYTES, SIGNATURE_BYTES, answering_bytes
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
    """Values under masks from keys that a user shares with groups of members; all groups open a round
    together."""

    name: ClassVar[str] = "committee"
    server_reads: ClassVar[Reads] = Reads.ROWS
    lightweight: ClassVar[bool] = True
    opens: ClassVar[bool] = True
    unit_rows: ClassVar[tuple[int, int]] = (16, 1024)

    members: int = 4
    """How many users sit in the committee, 2 to 12."""
    colluding: int = 1
    """So many members may work together, with the server and all other users, and still read nothing but
    sums. Against a server that does not follow the protocol at once, it takes three times as many members and
    one."""

    hybrid: bool = True
    """Users agree on keys by ML-KEM-768 beside X25519, where the library has it: what a server keeps stays
    closed to a quantum computer. It takes 1,088 bytes for each user and group, once."""

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
        second = " and ML-KEM-768" if self.hybrid and kem.available() else ""
        return Council(self.members, self.colluding, f"X25519{second}")

    def opened_by(self, users: int, members: int) -> bool:
        return members > self.colluding

    @property
    def label(self) -> str:
        return f"{self.name} {self.members}/{self.colluding}"

    @property
    def _groups(self) -> int:
        return len(self.council.groups)

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        secret = secrets["secret"].tobytes() if secrets else os.urandom(KEY_BYTES)
        key = CommitteeKeyHolder(secret, shape, self.council, self.hybrid)
        return CommitteeEvaluator(shape, key.public), key

    def block_bytes(self, shape: Shape) -> int:
        return HEADER_BYTES + BitLayout.of(shape).row_bytes

    def tag_bytes(self) -> int:
        return TAG_BYTES + self._groups * LIST_BYTES

    def published_bytes(self, shape: Shape, blocks: int) -> int:
        """With a number as tag, two digests, and signed lives."""
        return (
            blocks * self.block_bytes(shape) + NUMBER_BYTES + 2 * HEAD_BYTES + answering_bytes(self.members)
        )

    def upload_overhead(self) -> int:
        return self.tag_bytes() + HEAD_BYTES

    def opening_bytes(self, shape: Shape, blocks: int, uploaded: int, users: int, full_text: bool) -> Traffic:
        """Of all members together, if all are there: the set for each, the signatures of a quorum, a part of
        each group; for each of a quorum, the server's sums and the parts of groups that it is not in."""
        listed = users if full_text and blocks > 1 else uploaded
        row, council = BitLayout.of(shape).row_bytes, self.council
        openers, quorum = council.openers(range(self.members)), council.quorum
        sets = len(set(range(quorum)) | set(openers))
        a_user = 8 + 8 + NONCE_BYTES + self._groups * LIST_BYTES
        a_set = (
            blocks * (HEADER_BYTES + 4) + listed * NONCE_BYTES + users * a_user + NUMBER_BYTES + HEAD_BYTES
        )
        a_part = 2 * HEAD_BYTES + NUMBER_BYTES + SIGNATURE_BYTES
        others = self._groups - math.comb(self.members - 1, self.members - self.colluding - 1)
        a_sheet = (1 + others) * blocks * row + NUMBER_BYTES + self._groups * a_part
        lives = self.members * LIFE_BYTES
        down = sets * a_set + len(openers) * quorum * SIGNATURE_BYTES + quorum * (a_sheet + lives)
        parts = self._groups * (blocks * row + a_part)
        words = quorum * (SIGNATURE_BYTES + SIGNATURE_BYTES + NUMBER_BYTES)
        return Traffic(down, parts + blocks * NONCE_BYTES + words)

    def layout(self, rows: Rows) -> str:
        return (
            f"masked integers, {rows.value_bits} bits per value, {self.bytes_per_block(rows)}; "
            f"{self._groups} groups open each round"
        )

    def notes(self) -> list[str]:
        council = self.council
        lines = [
            f"committee: {self.members} users are members, {council.quorum} sign; if {_CORRUPT:.0%} of "
            f"users are corrupt, more than {self.colluding} of the members are with a probability of "
            f"{council.risk(_CORRUPT):.1%}"
        ]
        if not council.stands_alone:
            lines.append(
                f"committee {self.members}/{self.colluding} is for a server that follows the protocol, or "
                f"for honest members: against both at once, name {3 * self.colluding + 1} members"
            )
        return lines
