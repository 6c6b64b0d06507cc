"""What a scheme is: an object with traits, a server's side and a user's side.

A scheme protects rows of integers that are added up. It is a frozen dataclass; its fields are its own
settings, under ``protocol.<name>`` of a scenario. It says of itself what the server can read. What claims
nothing counts as readable, and :mod:`fedmf_ray.schemes.claims` checks what is claimed.

Two types keep the roles apart. A :class:`KeyHolder` encrypts and decrypts and lives with users; an
:class:`Evaluator` validates and adds, is built from public values alone, and is all that a server ever holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple

from fedmf_ray.checks import CHECKS
from fedmf_ray.schemes.council import Council
from fedmf_ray.schemes.messages import Closed, Opening
from fedmf_ray.schemes.sides import Integers, KeyHolder, Known, Piece, Secrets, Shape, Wire
from fedmf_ray.schemes.sums import Aggregate, Evaluator, Tags

__all__ = [
    "Aggregate",
    "Closed",
    "Evaluator",
    "Integers",
    "KeyHolder",
    "Known",
    "Opening",
    "Piece",
    "Reads",
    "Rows",
    "Scheme",
    "Secrets",
    "Shape",
    "Tags",
    "Traffic",
    "Wire",
]

_LONG, _LONGEST, _BLOCKS = 256, 4096, 512
"""Numbers of a block, about, where shared tables make most of them, and how many blocks these are then cut
into unless blocks were shorter or longer. Some work and memory is for each block of each upload."""


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


class Traffic(NamedTuple):
    """Bytes down and up."""

    down: int
    up: int


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

    checks_protected: ClassVar[bool] = False
    """Published tables are checked as they are: users need not open rows to know that these are the sum of
    uploads, and can share that check (:mod:`fedmf_ray.protocol.seals`)."""

    shares_check: ClassVar[bool] = False
    """Whether they do so in part text, unless a scenario says otherwise (``protocol.reading``)."""

    opens: ClassVar[bool] = False
    """Whether the sums of a round must be opened by a user before they can be published."""

    @property
    def council(self) -> Council | None:
        """The committee of users that opens sums together; None where one user does, or nobody need."""
        return None

    def opened_by(self, users: int, members: int) -> bool:
        """Whether a server reads every upload if so many users lend it what they have, and so many members of
        a committee. True unless a scheme claims otherwise: most share one key."""
        return self.server_reads == Reads.EVERYTHING or users + members > 0

    @property
    def combines(self) -> bool:
        """Whether uploads can be added up in parts, before they reach a server."""
        return not self.opens

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

    def number_bytes(self) -> int:
        """Of a number that its tags are made of, for schemes that say ``checks_protected``."""
        return 0

    def published_bytes(self, shape: Shape, blocks: int) -> int:
        """Bytes on the wire of a server's published tables of so many blocks."""
        return blocks * self.block_bytes(shape) + self.tag_bytes()

    def upload_overhead(self) -> int:
        """Bytes of an upload to one server beside its blocks and their numbers."""
        return self.tag_bytes()

    def opening_bytes(self, shape: Shape, blocks: int, uploaded: int, users: int, full_text: bool) -> Traffic:
        """What an opener downloads and uploads for a server's blocks, of which users have uploaded so
        many."""
        return Traffic(0, 0)

    def memory_bytes(self) -> int:
        """Memory that a key-holder takes beside its rows."""
        return 0

    def listed_bytes(self, rows: int, full_text: bool) -> int:
        """Memory that so many uploaded rows take in a simulation until the sums are open, beside the sums."""
        return 0

    def rows_per_block(self, rows: Rows) -> int:
        """How many item rows are protected, uploaded and added as one. Blocks of shared tables are as long:
        where these are most of what users upload, narrow rows are put together, so that they are not cut into
        single numbers. In part text, too: a user then names blocks with rows that it rated, not the rows."""
        if not rows.shared or not (rows.full_text or rows.shared > rows.items * rows.width):
            return 1
        numbers = min(_LONGEST, max(_LONG, rows.shared // _BLOCKS))
        return max(1, min(numbers // rows.width, rows.most))

    def layout(self, rows: Rows) -> str:
        """One line for people: how rows are laid out."""
        return f"{self.name}: {rows.value_bits} bits per value, {self.bytes_per_block(rows)}"

    def bytes_per_block(self, rows: Rows) -> str:
        """For people, as in "40 bytes per row"."""
        each = self.rows_per_block(rows)
        return f"{self.block_bytes(rows.shape(each)):,} bytes per {'row' if each == 1 else f'{each:,} rows'}"

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
