"""The users' side: masks and tags uploads, opens sums, and reads what an opener has published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import field, heads, prints
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.checks import check
from fedmf_ray.schemes.masked.rounds import Round
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, Stream, derive, fresh_nonces
from fedmf_ray.schemes.masked.unmasking import unmask
from fedmf_ray.schemes.masked.weights import Weights
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, Sums
from fedmf_ray.schemes.messages import Closed, EncryptedItems, Opening, Proof
from fedmf_ray.schemes.sides import Integers, KeyHolder, Known, Piece, Secrets, Shape, Wire

Bytes = NDArray[np.uint8]

_ROUNDS = 8
"""Heads of which keys are kept: those of a round and the next, for each server."""


class MaskedKeyHolder(KeyHolder):
    """All users have one secret of 32 bytes, which is made for one run.

    head: of the tables that opened the round in which it encrypts and decrypts uploads.
    """

    keeps_heads = True

    def __init__(self, secret: bytes, shape: Shape, head: bytes = b"") -> None:
        self._secret, self.shape, self._head = secret, shape, head
        self.layout = BitLayout.of(shape)
        self._rounds: dict[bytes, Round] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._secret, self.shape, self._head)

    def secrets(self) -> Secrets:
        return {"secret": np.frombuffer(self._secret, np.uint8)}

    def at(self, head: bytes) -> MaskedKeyHolder:
        return self if head == self._head else type(self)(self._secret, self.shape, head)

    def first_heads(self, firsts: Sequence[int]) -> list[bytes]:
        return [derive(self._secret, "the first head", first) for first in firsts]

    def _round(self, head: bytes) -> Round:
        if head not in self._rounds:
            while len(self._rounds) >= _ROUNDS:
                del self._rounds[next(iter(self._rounds))]
            self._rounds[head] = Round(self._secret, head)
        return self._rounds[head]

    @cached_property
    def _tables(self) -> Stream:
        return Stream(derive(self._secret, "masks of tables"))

    @cached_property
    def _base_key(self) -> bytes:
        return derive(self._secret, "bases")

    @cached_property
    def _weights(self) -> Weights:
        return Weights(self._secret, "weights of tags", self.shape)

    def _table_nonces(self, head: bytes, blocks: Integers) -> Bytes:
        """(k, 12) of published rows. They follow from the head, so that an old row cannot stand for a new
        one: whether that is accepted would tell whether the row has changed."""
        return self._round(head).table_nonces(blocks)

    @cached_property
    def _seal_weights(self) -> Weights:
        return Weights(self._secret, "weights of seals", self.shape)

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        if len(numbers):
            raise ValueError("tags are made by `protect`")
        uploads = self._round(self._head).uploads
        return self._masked(wires.UPLOADED, uploads, fresh_nonces(len(integers)), integers)

    def protect(
        self,
        round_number: int,
        integers: Integers,
        blocks: Integers,
        pieces: Sequence[Piece],
        heads: Mapping[int, bytes],
        full_text: bool,
    ) -> tuple[Wire, list[Wire]]:
        rounds = {first: self._round(head) for first, head in heads.items()}
        nonces = self._nonces(len(integers), pieces if full_text else ())
        if len(rounds) == 1:
            (one_round,) = rounds.values()
            wire = self._masked(wires.UPLOADED, one_round.uploads, nonces, integers)
        else:
            wire = np.empty((len(integers), 1, HEADER_BYTES + self.layout.row_bytes), np.uint8)
            for first, one_round in rounds.items():
                mine = [np.arange(one.begin, one.end) for one in pieces if one.first == first]
                rows = np.concatenate([np.empty(0, np.int64), *mine])
                wire[rows] = self._masked(wires.UPLOADED, one_round.uploads, nonces[rows], integers[rows])
        numbers = self._weights.numbers(blocks, integers, [(one.begin, one.end) for one in pieces])
        printed = self._printed(rounds, nonces, blocks, pieces, full_text)
        tags, text = np.empty((len(pieces), wires.TAG_BYTES), np.uint8), []
        tags[:, :NONCE_BYTES] = own = fresh_nonces(len(pieces))
        pads = self._pads(rounds, round_number, pieces, own)
        for number, more, pad in zip(numbers, printed, pads, strict=True):
            text.append(((number + more + pad) % field.P).to_bytes(field.BYTES, "little"))
        tags[:, NONCE_BYTES:] = np.frombuffer(b"".join(text), np.uint8).reshape(-1, field.BYTES)
        return wire, list(tags)

    def _printed(
        self,
        rounds: Mapping[int, Round],
        nonces: Bytes,
        blocks: Integers,
        pieces: Sequence[Piece],
        full_text: bool,
    ) -> list[int]:
        """For each piece, the number that its tag has for its masked rows."""
        return prints.of_uploads(rounds, nonces, blocks, pieces, full_text)

    def _pads(
        self, rounds: Mapping[int, Round], round_number: int, pieces: Sequence[Piece], nonces: Bytes
    ) -> list[int]:
        """Of the tag of each piece. nonces: (pieces, 12) of tags."""
        pads = [0] * len(pieces)
        for first, one_round in rounds.items():
            mine = [at for at, one in enumerate(pieces) if one.first == first]
            user_ids = [pieces[at].user_id for at in mine]
            for at, pad in zip(
                mine, one_round.pads(user_ids, round_number, first, nonces[mine]), strict=True
            ):
                pads[at] = pad
        return pads

    def _nonces(self, rows: int, whole: Sequence[Piece]) -> Bytes:
        """One for each row; those of pieces that are all of a server's rows count."""
        nonces = fresh_nonces(len(whole) or rows)
        if not whole:
            return nonces
        each = [wires.counted_nonces(n, one.end - one.begin) for n, one in zip(nonces, whole, strict=True)]
        return np.concatenate(each)

    def _masked(self, kind: int, stream: Stream, nonces: Bytes, integers: Integers) -> Wire:
        layout = self.layout
        out = np.empty((len(integers), 1, HEADER_BYTES + layout.row_bytes), np.uint8)
        out[:, 0, 0], out[:, 0, 1:HEADER_BYTES] = kind, nonces
        for some in layout.chunks(len(integers)):
            words = stream.words(nonces[some], layout.columns, layout.word)
            layout.pack_sum(words, integers[some], out[some, 0, HEADER_BYTES:])
        return out

    def decrypt(self, wire: Wire) -> Integers:
        layout, rows = self.layout, wire[:, 0]
        integers = np.empty((len(rows), layout.columns), np.int64)
        for some in layout.chunks(len(rows)):
            masks = self._masks(rows[some, :HEADER_BYTES])
            integers[some] = layout.opened(rows[some, HEADER_BYTES:], masks)
        return integers

    def _masks(self, headers: Bytes) -> NDArray[Any]:
        """(rows, columns) what is on rows of any kind."""
        layout, kinds, nonces = self.layout, headers[:, 0], headers[:, 1:]
        streams = {wires.TABLES: self._tables, wires.UPLOADED: self._round(self._head).uploads}
        for kind, stream in streams.items():
            if len(kinds) and (kinds == kind).all():
                return stream.words(nonces, layout.columns, layout.word)
        masks = np.zeros((len(headers), layout.columns), layout.word)
        for kind, stream in streams.items():
            at = kinds == kind
            masks[at] = stream.words(nonces[at], layout.columns, layout.word)
        at = kinds == wires.TAKEN_OUT
        masks[at] = -streams[wires.UPLOADED].words(nonces[at], layout.columns, layout.word)
        return masks

    def begin(self, first: int, integers: Integers, fresh: Integers) -> Opening:
        (before,), rest = self.first_heads([first]), fresh_nonces(3).tobytes()[: heads.HEAD_BYTES]
        closed = heads.closed_digest(before, -1, first, np.array([], np.int64), rest)
        return self._published(-1, first, integers, fresh, before, closed, rest)

    def open(self, closed: Sequence[Closed], known: Known | None = None) -> list[Opening]:
        return [self._open(one, known) for one in closed]

    def _open(self, closed: Closed, known: Known | None) -> Opening:
        check(closed, known, self.layout.row_bytes)
        integers, fresh = self.at(closed.head)._opened(closed.sums), np.array([], np.int64)
        if known is not None:
            fresh = known.fresh
            self._check_start(closed, fresh)
            self._check_tags(closed, integers)
        rest = wires.rest_of(closed.sums, closed.tags)
        digest = heads.closed_digest(closed.head, closed.round, closed.first, closed.credited, rest)
        return self._published(closed.round, closed.first, integers, fresh, closed.head, digest, rest)

    def _opened(self, sums: Sums) -> Integers:
        """(rows, columns) the sums without any mask."""
        layout, uploads = self.layout, self._round(self._head).uploads
        words = layout.unpack(sums.totals)
        words -= self._masks(sums.start)
        unmask(words, sums, uploads, layout)
        return layout.signed(words)

    def _check_start(self, closed: Closed, fresh: Integers) -> None:
        """Raises ``ValueError`` unless its sums began with the tables that were read."""
        start = closed.sums.start
        blocks = np.arange(len(start)) + closed.first
        again = np.isin(blocks, fresh)
        if start[again].any() or (start[~again, 0] != wires.TABLES).any():
            raise ValueError("its sums did not begin with the tables that were read")
        self._check_nonces(start[~again, 1:], closed.head, blocks[~again])

    def _check_nonces(self, found: Bytes, head: bytes, blocks: Integers) -> None:
        if not np.array_equal(found, self._table_nonces(head, blocks)):
            raise ValueError("a row is of other tables, or another row of these")

    def _check_tags(self, closed: Closed, integers: Integers) -> None:
        """Raises ``ValueError`` unless the opened sums are what the tags of those credited say."""
        tags, one_round = closed.tags, self._round(closed.head)
        (weighed,) = self._weights.numbers(
            np.arange(len(integers)) + closed.first, integers, [(0, len(integers))]
        )
        said = weighed + self._prints_of(closed)
        pads = sum(one_round.pads(tags.user_ids, closed.round, closed.first, tags.nonces))
        if (field.to_int(tags.total) - one_round.tables_pad - pads - said) % field.P:
            raise ValueError(
                "the sums do not add up: the server, or a user whose upload is in them, sent something else "
                "than it says"
            )

    def _prints_of(self, closed: Closed) -> int:
        """The sum of the prints of what is on its lists."""
        return prints.of_lists(self._round(closed.head), closed.sums, closed.first)

    def _published(
        self,
        round_number: int,
        first: int,
        integers: Integers,
        fresh: Integers,
        before: bytes,
        closed: bytes,
        rest: bytes,
    ) -> Opening:
        """Tables under the base that follows from what was closed: the same list gives the same bytes."""
        base = self._base(before, closed)
        head = heads.next_head(before, closed, base)
        blocks = np.arange(len(integers)) + first
        wire = self._masked(wires.TABLES, self._tables, self._table_nonces(head, blocks), integers)
        kept = ~np.isin(blocks, fresh)
        (number,) = self._weights.numbers(blocks[kept], integers[kept], [(0, int(kept.sum()))])
        tag = field.to_bytes(number + self._round(head).tables_pad)
        proof = Proof(before, rest, self._seals(head, blocks, integers))
        return Opening(round_number, first, wire, tag, head, closed, proof)

    def _base(self, before: bytes, closed: bytes) -> bytes:
        """It must follow from what was closed: a base of two sets gives away what is between them."""
        return heads.base_of(self._base_key, closed)

    def _seals(self, head: bytes, blocks: Integers, integers: Integers) -> Bytes:
        """(rows, 16): the weighted sum of each row modulo p, under a pad of its own."""
        return self._seal_weights.seals(integers, self._round(head).seal_pads(blocks))

    def read(self, message: EncryptedItems, rows: Integers) -> Integers:
        """Raises ``ValueError`` unless the head follows from the one before, and every seal fits."""
        proof, number = message.proof, message.round - 1
        if not isinstance(proof, Proof):
            raise ValueError("it has no proof")
        closed = heads.closed_digest(proof.before, number, message.first, message.credited, proof.rest)
        head = heads.next_head(proof.before, closed, self._base(proof.before, closed))
        if head != message.head:
            raise ValueError("its head does not follow from the one before")
        integers = np.empty((len(rows), self.layout.columns), np.int64)
        for some in self.layout.chunks(len(rows)):
            wire, blocks = message.ciphertexts[rows[some]], rows[some] + message.first
            if (wire[:, 0, 0] != wires.TABLES).any():
                raise ValueError("a row was not published by an opener")
            self._check_nonces(wire[:, 0, 1:HEADER_BYTES], head, blocks)
            integers[some] = self.decrypt(wire)
            if not np.array_equal(self._seals(head, blocks, integers[some]), proof.seals[rows[some]]):
                raise ValueError("a seal does not fit its row")
        return integers
