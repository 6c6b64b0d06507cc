"""The scheme ``masked`` as an object."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from fedmf_ray.schemes.base import Evaluator, KeyHolder, Reads, Rows, Scheme, Secrets, Shape, Traffic
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.heads import HEAD_BYTES
from fedmf_ray.schemes.masked.server import MaskedEvaluator
from fedmf_ray.schemes.masked.streams import KEY_BYTES, NONCE_BYTES
from fedmf_ray.schemes.masked.users import MaskedKeyHolder
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, NUMBER_BYTES, TAG_BYTES

_LISTED_ROW_BYTES = 48
"""Measured: what the peaks of scale-100k (10 million rows) and scale-25m are above those in the clear."""


@dataclass(frozen=True)
class Masked(Scheme):
    """Values under one-time masks that all users can make and the server cannot. A user opens each round."""

    name: ClassVar[str] = "masked"
    server_reads: ClassVar[Reads] = Reads.ROWS
    lightweight: ClassVar[bool] = True
    opens: ClassVar[bool] = True
    unit_rows: ClassVar[tuple[int, int]] = (16, 1024)

    @property
    def combines(self) -> bool:
        return True

    def listed_bytes(self, rows: int, full_text: bool) -> int:
        """Nonces and places of rows: with combiners, at the server, and with who opens. An upload of all rows
        has one nonce."""
        return 0 if full_text else _LISTED_ROW_BYTES * rows

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        secret = secrets["secret"].tobytes() if secrets else os.urandom(KEY_BYTES)
        return MaskedEvaluator(shape), MaskedKeyHolder(secret, shape)

    def block_bytes(self, shape: Shape) -> int:
        return HEADER_BYTES + BitLayout.of(shape).row_bytes

    def tag_bytes(self) -> int:
        return TAG_BYTES

    def published_bytes(self, shape: Shape, blocks: int) -> int:
        """With a number as tag, two digests, and a seal for each block."""
        return blocks * (self.block_bytes(shape) + NUMBER_BYTES) + NUMBER_BYTES + 2 * HEAD_BYTES

    def upload_overhead(self) -> int:
        return TAG_BYTES + HEAD_BYTES

    def opening_bytes(self, shape: Shape, blocks: int, uploaded: int, users: int, full_text: bool) -> Traffic:
        row, listed = self.block_bytes(shape), users if full_text and blocks > 1 else uploaded
        lists = blocks * 4 + listed * NONCE_BYTES + users * (8 + 8 + NONCE_BYTES) + NUMBER_BYTES
        return Traffic(blocks * row + lists, self.published_bytes(shape, blocks) + HEAD_BYTES)

    def layout(self, rows: Rows) -> str:
        return f"masked integers, {rows.value_bits} bits per value, {self.bytes_per_block(rows)}"
