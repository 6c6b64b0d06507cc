"""The two sides of a scheme: users, who can read everything, and servers, who add.

A :class:`KeyHolder` encrypts and decrypts and lives with users; an :class:`Evaluator` validates and adds, is
built from public values alone, and is all that a server ever holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening
from fedmf_ray.schemes.tags import Authenticator, PlaintextAuthenticator

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

Secrets = Mapping[str, NDArray[Any]]
"""What a user's side must keep to read again what it has protected, as named arrays for a checkpoint."""


@dataclass(frozen=True)
class Shape:
    """What is fixed about the rows that a scheme protects.

    columns: integers per row. value_bits: bits that hold any of their sums, sign included.
    """

    columns: int
    value_bits: int


class Piece(NamedTuple):
    """What of some protected rows is one user's and goes to one server: rows begin to end (exclusive).

    first: the block with which the server's range begins.
    """

    user_id: int
    first: int
    begin: int
    end: int


@dataclass(frozen=True)
class Known:
    """What an opener knows itself of the round that a server has closed.

    heads: of the tables that it read, by the first block of a server. fresh: blocks that started from zero.
    least, most: how many users may have uploaded. sizes: blocks of each server, by its first one, if known.
    """

    round: int
    heads: Mapping[int, bytes]
    fresh: Integers
    least: int
    most: int
    sizes: Mapping[int, int] = field(default_factory=dict)

    def check_size(self, first: int, blocks: int) -> None:
        """Raise ``ValueError`` for more or fewer: whether they are opened would tell what is in them."""
        if self.sizes.get(first, blocks) != blocks:
            raise ValueError(f"it closed {blocks} blocks, {self.sizes[first]} were expected")


class KeyHolder:
    """A user's side: it can read everything. Subclasses pickle."""

    authenticator: Authenticator | None = None
    """Makes and checks tags; None where nothing is hidden from the server anyway."""

    keeps_heads: bool = False
    """Whether published tables are named by heads and checked by seals, instead of by tags that add up."""

    run: bytes = b""
    """A digest of who takes part, for schemes whose messages are bound to it. Everybody may know it."""

    at_once: int = 1
    """Rows that it works on at once: fewer may take as long."""

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        """(rows, columns) int64 within ``value_bits`` to (rows, pieces, bytes) uint8.

        numbers: of tags; each is one row more, protected in its first piece. None come unless tags are of
        plaintexts.
        """
        raise NotImplementedError

    def decrypt(self, wire: Wire) -> Integers:
        """(rows, pieces, bytes) uint8 to (rows, columns) int64, for sums too.

        Raises ``OverflowError`` when a plaintext lies outside what a row can hold.
        """
        raise NotImplementedError

    def plaintexts(self, integers: Integers) -> list[mpz]:
        """The signed numbers that :meth:`encrypt` would encrypt, row by row: what tags are made of."""
        return [mpz(q) for q in integers.ravel().tolist()]

    def protect(
        self,
        round_number: int,
        integers: Integers,
        blocks: Integers,
        pieces: Sequence[Piece],
        heads: Mapping[int, bytes],
        full_text: bool,
    ) -> tuple[Wire, list[Wire]]:
        """What users upload in a round: protected rows, and a tag for each piece (none without tags).

        integers: (rows, columns); blocks: (rows,) which each is. heads: of the tables that users read, by the
        first block of a server, for schemes that keep heads. full_text: each piece is all of a server's.
        """
        tags = []
        if isinstance(self.authenticator, PlaintextAuthenticator):
            for user_id, first, begin, end in pieces:
                plaintexts = self.plaintexts(integers[begin:end])
                label = user_id, round_number, first
                tags.append(self.authenticator.tag(blocks[begin:end], plaintexts, *label))
        wire = self.encrypt(integers, tags)
        return wire[: len(integers)], list(wire[len(integers) :, 0])

    def restored(self) -> None:
        """Users were restored: what they protect in the next round, they may have protected otherwise."""

    def weigh(self, blocks: Integers, integers: Integers, wire: Wire) -> mpz:
        """What the tags of published blocks must hold of them. integers, wire: of these blocks, in the clear
        and protected."""
        assert isinstance(self.authenticator, PlaintextAuthenticator)
        return self.authenticator.weigh(blocks, self.plaintexts(integers))

    def open(self, closed: Sequence[Closed], known: Known | None = None) -> list[Opening]:
        """Open the sums of a closed round, for schemes that say ``opens``.

        closed: a :class:`Closed` per server, with what its aggregates gave as
        :meth:`Aggregate.closing`; tags are None where nothing is tagged. known: what they are held against;
        without it, sums are opened as they are. Returns an :class:`Opening` for each. Asked again, by
        whoever takes over, it must reveal nothing that the first answer did not. Raises ``ValueError`` with
        the reason for what it does not open.
        """
        raise NotImplementedError

    def at(self, head: bytes) -> KeyHolder:
        """The same in the round that the tables of this head have opened."""
        return self

    def first_heads(self, firsts: Sequence[int]) -> list[bytes]:
        """For schemes that keep heads: what comes before the first tables of each server."""
        raise NotImplementedError

    def begin(self, first: int, integers: Integers, fresh: Integers) -> Opening:
        """For schemes that keep heads: the first tables of a server. fresh: blocks that start each round from
        zero."""
        raise NotImplementedError

    def read(self, message: EncryptedItems, rows: Integers) -> Integers:
        """(k, columns) some rows of published tables. Schemes that keep heads check that the message follows
        from the one before, and the seals of these rows. Raises ``OverflowError`` or ``ValueError``."""
        return self.decrypt(message.ciphertexts[rows])

    def read_as(self, members: Sequence[int], user_id: int, wire: Wire, head: bytes) -> Integers:
        """What somebody with a user's key, whom these members of a committee help, makes of rows that another
        user uploaded."""
        return self.at(head).decrypt(wire)

    def heads_of(self, message: EncryptedItems) -> tuple[bytes, bytes]:
        """For schemes that keep heads: of the tables before those that have been read here, and of these."""
        assert message.proof is not None
        return message.proof.before, message.head

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes that users alone can have, for schemes that say ``checks_protected``."""
        raise NotImplementedError

    def secrets(self) -> Secrets:
        """For the users' own safe-keeping; :meth:`Scheme.sides` makes the same sides from them again."""
        return {}
