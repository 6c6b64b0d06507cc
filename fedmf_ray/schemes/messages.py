"""What servers and openers send: published tables, closed sums, and their opening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]


@dataclass(frozen=True)
class Proof:
    """How published tables follow from those before, for schemes that keep heads.

    before: the head of the tables before. rest: a digest of what else the server had closed, beside the users
    that it credits. seals: (blocks, bytes) one for each block. links: what has been signed of the head, in
    order."""

    before: bytes
    rest: bytes
    seals: Wire
    links: tuple[bytes, ...] = ()

    @property
    def nbytes(self) -> int:
        return len(self.before) + len(self.rest) + self.seals.nbytes + sum(map(len, self.links))


@dataclass(frozen=True)
class EncryptedItems:
    """C_V, or the range of it that one server holds: the encrypted tables that open a round.

    first: the block that comes first. ciphertexts: (blocks, ciphertexts_per_block, bytes) uint8.
    tag: (bytes,) the encrypted sum of tags, or None where nothing is tagged.
    credited: (k,) increasing ids of the users whose uploads the server says it added to the matrix before.
    head, proof: of schemes that keep heads: the name of these tables, and how they follow from those before.
    """

    round: int
    first: int
    ciphertexts: Wire
    tag: Wire | None
    credited: Integers
    head: bytes = b""
    proof: Proof | None = None

    @property
    def nbytes(self) -> int:
        """On the wire, but for a few bytes of framing: credits are a bit per user, or less."""
        proof = 0 if self.proof is None else self.proof.nbytes
        return self.ciphertexts.nbytes + (0 if self.tag is None else self.tag.nbytes) + proof


@dataclass(frozen=True)
class Closed:
    """A server has closed a round: whose uploads are in its sum, and what an opener needs of it.

    credited: (k,) increasing ids. sums, tags: what the scheme's aggregates give (None without an opening).
    head: of the tables that opened the round.
    """

    round: int
    first: int
    credited: Integers
    sums: Any = None
    tags: Any = None
    head: bytes = b""

    @property
    def nbytes(self) -> int:
        """Of what an opener downloads, as far as the scheme's aggregates can say."""
        return self.credited.nbytes + sum(getattr(part, "nbytes", 0) for part in (self.sums, self.tags))


@dataclass(frozen=True)
class Opening:
    """What an opener gives back to the server whose range begins with block ``first``.

    sums, tags: for the scheme's aggregates. closed: a digest of what was opened. head, proof: of the tables
    that are published with it.
    """

    round: int
    first: int
    sums: Any
    tags: Any
    head: bytes = b""
    closed: bytes = b""
    proof: Proof | None = None

    @property
    def nbytes(self) -> int:
        """Of what an opener uploads, as far as they can say."""
        parts = (self.sums, self.tags, self.proof)
        return len(self.head) + sum(getattr(part, "nbytes", 0) for part in parts)
