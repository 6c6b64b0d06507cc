"""What follows from the users' secret for the tables of one head: masks and pads that no other head has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked.streams import NONCE_BYTES, Stream, derive, pads

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


class Round:
    """head: of the tables; b"" stands for no tables at all."""

    def __init__(self, secret: bytes, head: bytes) -> None:
        self._secret, self._head = secret, head

    @cached_property
    def uploads(self) -> Stream:
        """Masks of what is uploaded in the round that these tables open, by nonce."""
        return Stream(derive(self._secret, "masks of uploads", self._head))

    @cached_property
    def _table_nonces(self) -> Stream:
        return Stream(derive(self._secret, "nonces of tables", self._head))

    def table_nonces(self, blocks: Integers) -> Bytes:
        """(k, 12) under which these tables are published."""
        return self._table_nonces.numbers(blocks)[:, :NONCE_BYTES]

    @cached_property
    def _prints(self) -> Stream:
        return Stream(derive(self._secret, "prints of rows", self._head))

    def another(self) -> Round:
        """The same, for another thread."""
        return Round(self._secret, self._head)

    def prints(self, nonces: Bytes, blocks: Integers) -> Bytes:
        """(k, 16) numbers that stand in tags for the masked rows that are in a sum, whatever these hold."""
        return self._prints.labelled(nonces, blocks)

    @cached_property
    def _pad_key(self) -> bytes:
        return derive(self._secret, "pads of tags", self._head)

    def pads(
        self, user_ids: Sequence[int] | Integers, round_number: int, first: int, nonces: Bytes
    ) -> list[int]:
        """Of the tags of uploads in that round. nonces: (users, 12) of tags."""
        return pads(self._pad_key, user_ids, round_number, first, nonces)

    @cached_property
    def tables_pad(self) -> int:
        """Of the tag of these tables."""
        return int.from_bytes(derive(self._secret, "pad of tables", self._head), "little")

    @cached_property
    def _seal_pads(self) -> Stream:
        return Stream(derive(self._secret, "pads of seals", self._head))

    def seal_pads(self, blocks: Integers) -> Bytes:
        """(k, 16) of the seals of these tables, a number for each block."""
        return self._seal_pads.numbers(blocks)
