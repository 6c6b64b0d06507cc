"""What a scheme is: an object with traits, a server's side and a user's side.

A scheme protects rows of integers that are added up. It is a frozen dataclass; its fields are its own
settings, under ``protocol.<name>`` of a scenario. It says of itself what the server can read. What claims
nothing counts as readable, and :mod:`fedmf_ray.schemes.claims` checks what is claimed.

Two types keep the roles apart. A :class:`KeyHolder` encrypts and decrypts and lives with users; an
:class:`Evaluator` validates and adds, is built from public values alone, and is all that a server ever holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS
from fedmf_ray.schemes.tags import Authenticator

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

Secrets = Mapping[str, NDArray[Any]]
"""What a user's side must keep to read again what it has protected, as named arrays for a checkpoint."""


_LONG = 256
"""Numbers of a block, about, where shared tables make most of them."""


class Reads(str, Enum):
    """What the server of a scheme can read, alone. Each includes those before it."""

    NOTHING = "nothing"
    """How many uploads there are, and no more."""
    ROWS = "rows"
    """Which blocks of rows each user uploads."""
    SUMS = "sums"
    """The sums over users, as every user can."""
    EVERYTHING = "everything"
    """Each upload."""


@dataclass(frozen=True)
class Shape:
    """What is fixed about the rows that a scheme protects.

    columns: integers per row. value_bits: bits that hold any of their sums, sign included.
    """

    columns: int
    value_bits: int


@dataclass(frozen=True)
class Rows:
    """The item rows of a run, for a scheme that may put several of them together.

    items: how many. width: integers per row. value_bits: as of :class:`Shape`. most: rows that may share a
    block. full_text: every user uploads all of them. shared: numbers in the shared tables, which are cut into
    blocks of the same size.
    """

    items: int
    width: int
    value_bits: int
    most: int
    full_text: bool
    shared: int = 0

    def shape(self, rows: int) -> Shape:
        """Of blocks of so many rows."""
        return Shape(rows * self.width, self.value_bits)

    def blocks(self, rows: int) -> int:
        """How many blocks of so many rows."""
        return -(-self.items // rows)

    def shared_blocks(self, rows: int) -> int:
        """How many blocks the shared tables take, about: each table fills up its last one."""
        return -(-self.shared // (rows * self.width))


@dataclass(frozen=True)
class Closed:
    """A server has closed a round: whose uploads are in its sum, and what an opener needs of it.

    credited: (k,) increasing ids. sums, tags: what the scheme's aggregates give (None without an opening).
    """

    round: int
    first: int
    credited: Integers
    sums: Any = None
    tags: Any = None


@dataclass(frozen=True)
class Opening:
    """What an opener gives back to the server whose range begins with block ``first``.

    sums, tags: for the scheme's aggregates.
    """

    round: int
    first: int
    sums: Any
    tags: Any


class KeyHolder:
    """A user's side: it can read everything. Subclasses pickle."""

    authenticator: Authenticator | None = None
    """Makes and checks tags; None where nothing is hidden from the server anyway."""

    at_once: int = 1
    """Rows that it works on at once: fewer may take as long."""

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        """(rows, columns) int64 within ``value_bits`` to (rows, pieces, bytes) uint8.

        numbers: of tags; each is one row more, protected in its first piece. None come without an
        authenticator.
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

    def open(self, closed: Sequence[Closed]) -> list[Opening]:
        """Open the sums of a closed round, for schemes that say ``opens``.

        closed: a :class:`Closed` per server, with what its aggregates gave as
        :meth:`Aggregate.closing`; tags are None where nothing is tagged. Returns an
        :class:`~fedmf_ray.protocol.messages.Opening` for each. Asked again, by whoever takes over, it must
        reveal nothing that the first answer did not.
        """
        raise NotImplementedError

    def secrets(self) -> Secrets:
        """For the users' own safe-keeping; :meth:`Scheme.sides` makes the same sides from them again. Nothing
        that the server may have is among them."""
        return {}


class Aggregate:
    """A sum of protected rows in the making."""

    def add(self, rows: Integers, wire: Wire) -> None:
        """Add protected rows to the given rows of the sum.

        Raises ``ValueError`` with the reason if a ciphertext is malformed; nothing is added then.
        """
        raise NotImplementedError

    def wire(self) -> Wire:
        """The sum as it stands, or as it was opened."""
        raise NotImplementedError

    def closing(self) -> Any:
        """What an opener needs of this sum, for schemes that say ``opens``."""
        return None

    def open(self, opening: Any) -> None:
        """Take an opener's answer, for schemes that say ``opens``."""
        raise NotImplementedError


class Evaluator:
    """The server's side: public values only, validates and adds. Subclasses pickle."""

    def aggregate(self, wire: Wire) -> Aggregate:
        """Start a sum from protected rows."""
        raise NotImplementedError

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        """Rows of zeros that anybody can make: where a partial sum starts."""
        raise NotImplementedError

    def negate(self, wire: Wire) -> Wire:
        """What takes protected rows out of a sum again, to the last bit."""
        raise NotImplementedError


class Scheme(ABC):
    """A kind of protection. Subclasses are frozen dataclasses with a ``name``."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    name: ClassVar[str]

    server_reads: ClassVar[Reads] = Reads.EVERYTHING
    """A claim, which the contract tests check; *everything* unless a scheme claims less."""

    lightweight: ClassVar[bool] = False
    """Protecting a value takes about as long as touching it. Users of a process are then worked on together,
    and each actor reads the whole matrix; otherwise users are measured one by one, and actors share the
    reading."""

    opens: ClassVar[bool] = False
    """Whether the sums of a round must be opened by a user before they can be published."""

    unit_rows: ClassVar[tuple[int, int]] = (3, 35)
    """A small and a large size at which unit costs are measured, in rows of the item matrix."""

    @classmethod
    def configured(cls, protocol: Mapping[str, Any]) -> Scheme:
        """The scheme with the settings of a scenario's section ``protocol``."""
        return cls(**(protocol.get(cls.name) or {}))

    @abstractmethod
    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        """Both sides, with fresh secrets from the operating system, or with those of an earlier
        key-holder."""

    @abstractmethod
    def block_bytes(self, shape: Shape) -> int:
        """Bytes on the wire of one row."""

    def pieces(self, shape: Shape) -> int:
        """How many pieces of work one row is, to which unit costs apply: ciphertexts, or values."""
        return shape.columns

    def tag_bytes(self) -> int:
        """Bytes on the wire of a tag; 0 where nothing is tagged."""
        return 0

    def memory_bytes(self) -> int:
        """Memory that a key-holder takes beside its rows."""
        return 0

    def rows_per_block(self, rows: Rows) -> int:
        """How many item rows are protected, uploaded and added as one. Blocks of shared tables are as long:
        in full text, narrow rows are put together, so that these are not cut into single numbers."""
        return max(1, min(_LONG // rows.width, rows.most)) if rows.shared and rows.full_text else 1

    def layout(self, rows: Rows) -> str:
        """One line for people: how rows are laid out."""
        per_row = self.block_bytes(rows.shape(1))
        return f"{self.name}: {rows.value_bits} bits per value, {per_row:,} bytes per row"

    @property
    def label(self) -> str:
        """What a picture calls it."""
        return self.name

    def warning(self) -> str | None:
        """One line if it protects nobody as it is set up."""
        return None

    def notes(self) -> list[str]:
        """Lines worth reading once before a run."""
        return []

    def unit_width(self, width: int) -> int:
        """Integers of the rows at which unit costs are measured, for rows of so many."""
        return width

    def total_pieces(self, rows: Rows) -> int:
        """Pieces of work of the whole item matrix."""
        each = self.rows_per_block(rows)
        return rows.blocks(each) * self.pieces(rows.shape(each))
