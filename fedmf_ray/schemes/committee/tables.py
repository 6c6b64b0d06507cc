"""Tables as all users read them: under masks that follow from the set that was closed, and signed by
members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee.public import Public, closed_of
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, Stream, derive
from fedmf_ray.schemes.masked.users import MaskedKeyHolder
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from fedmf_ray.schemes.messages import EncryptedItems
from fedmf_ray.schemes.sides import Integers, Wire

Bytes = NDArray[np.uint8]

_KEPT = 3
"""Latest tables of each server of which it is remembered what they follow from."""


@dataclass(frozen=True)
class Past:
    """What somebody knows of tables that it has read. round: that they open. first: their first block.
    closed: the digest of the set that they follow from. lives: of the members who answer for them."""

    round: int
    first: int
    closed: bytes
    lives: tuple[bytes, ...]


class TablesReader(MaskedKeyHolder):
    """With what all users have in common.

    run: names the list of users. past: what it has read, by head."""

    run: bytes
    past: dict[bytes, Past]

    @property
    def public(self) -> Public:
        """What everybody knows of the committee."""
        raise NotImplementedError

    def weighed(self, blocks: Integers, integers: Integers, without: Integers) -> int:
        """The weighted sum modulo p of rows, but for some blocks."""
        kept = ~np.isin(blocks, without)
        (number,) = self._weights.numbers(blocks[kept], integers[kept], [(0, int(kept.sum()))])
        return number

    def table_nonces(self, closed: bytes, blocks: Integers) -> Bytes:
        """(k, 12) under which the tables are published that follow from a closed set: the same set gives the
        same bytes, another set others."""
        stream = Stream(derive(self._secret, "committee: nonces of tables", closed))
        return stream.numbers(blocks)[:, :NONCE_BYTES]

    def table_masks(self, nonces: Bytes) -> NDArray[Any]:
        return self._tables.words(nonces, self.layout.columns, self.layout.word)

    def tables_pad(self, closed: bytes) -> int:
        """Of the tag of what tables keep."""
        return int.from_bytes(derive(self._secret, "committee: pad of tables", closed), "little")

    def sum_pad(self, closed: bytes) -> int:
        """Of the sum of tags as it is opened: of all rows, also of those that start from zero again."""
        return int.from_bytes(derive(self._secret, "committee: pad of a sum", closed), "little")

    def unmasked(self, wire: Wire, closed: bytes, first: int, rows: Integers) -> Integers:
        """(k, columns) of some rows of tables. Raises ``ValueError`` for one that is of other tables."""
        if wire.shape[1:] != (1, HEADER_BYTES + self.layout.row_bytes):
            raise ValueError("a row is not of the agreed length")
        integers = np.empty((len(rows), self.layout.columns), np.int64)
        nonces = self.table_nonces(closed, rows + first)
        for some in self.layout.chunks(len(rows)):
            header = wire[rows[some], 0, :HEADER_BYTES]
            if (header[:, 0] != wires.TABLES).any() or not np.array_equal(header[:, 1:], nonces[some]):
                raise ValueError("a row is of other tables, or another row of these")
            packed = wire[rows[some], 0, HEADER_BYTES:]
            integers[some] = self.layout.opened(packed, self.table_masks(nonces[some]))
        return integers

    def read(self, message: EncryptedItems, rows: Integers) -> Integers:
        """Raises ``ValueError`` unless the head follows from the one before, and a quorum has signed it."""
        answering = self.public.answering(self.run, message)
        assert answering is not None
        integers = self.unmasked(message.ciphertexts, closed_of(message), message.first, rows)
        self._remember(message, answering.lives)
        return integers

    def read_all(self, message: EncryptedItems) -> None:
        """All rows; also of the very first tables before members have signed them. Raises ``ValueError``."""
        answering = self.public.answering(self.run, message, unsigned=True)
        rows = np.arange(len(message.ciphertexts))
        self.unmasked(message.ciphertexts, closed_of(message), message.first, rows)
        if answering is not None:
            self._remember(message, answering.lives)

    def acknowledge(self, message: EncryptedItems) -> None:
        """Know who answers for tables that have been read already. Raises ``ValueError`` for what no quorum
        has signed."""
        lives = self.public.who_answers(message).lives
        self.past[message.head] = replace(self.past_of(message.head), lives=lives)

    def _remember(self, message: EncryptedItems, lives: tuple[bytes, ...]) -> None:
        """Of each server the latest ones, in whatever order they are read: nobody can push these out."""
        self.past[message.head] = Past(message.round, message.first, closed_of(message), lives)
        mine = [(past.round, head) for head, past in self.past.items() if past.first == message.first]
        for _, head in sorted(mine)[:-_KEPT]:
            del self.past[head]

    def past_of(self, head: bytes) -> Past:
        """Raises ``ValueError`` for tables that have not been read here."""
        if head not in self.past:
            raise ValueError("it closed another state than the one that was read")
        return self.past[head]
