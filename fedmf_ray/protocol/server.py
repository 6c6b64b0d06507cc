"""The server: it holds ciphertexts and a public key, checks what it receives, and adds.

Several servers may share the item matrix by ranges of blocks; each is a :class:`Server` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.messages import Closed, EncryptedItems, Opening, PartialSum, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.schemes import Evaluator, Tags

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]


class UploadRefused(Exception):
    """An upload that the server did not apply; the message is the reason."""

    def __init__(self, upload: Upload, reason: str) -> None:
        who, when = (one if type(one) is int else "?" for one in (upload.user_id, upload.round))
        super().__init__(f"user {who}, round {when}: {reason}")
        self.reason = reason


class Server:
    """Keeps a range of the encrypted tables and adds uploads to it.

    It never sees a rating, a user vector, a private key or an item matrix in the clear: it is built from
    an :class:`~fedmf_ray.schemes.Evaluator` and a matrix that a key-holder encrypted.
    """

    def __init__(
        self, evaluator: Evaluator, items: EncryptedItems, roster: Roster, blocks: Blocks | None = None
    ) -> None:
        """blocks: how tables are cut, if some are shared."""
        self._evaluator, self._roster, self._blocks = evaluator, roster, blocks
        self._round, self._first = items.round, items.first
        self._sum = evaluator.aggregate(self._start(items.ciphertexts))
        self._tags: Tags | None = None if items.tag is None else evaluator.tags(items.tag)
        self._head = items.head
        self._added = np.zeros(len(roster.user_ids), bool)
        self.closed = False
        """Whether the set of uploads of this round is fixed."""
        self._answer: Closed | None = None

    @property
    def round(self) -> int:
        return self._round

    @property
    def blocks(self) -> int:
        """How many it holds in this round."""
        return int(self._shape[0])

    @property
    def added(self) -> Integers:
        """Increasing ids of the users whose uploads have been added in this round."""
        return self._roster.user_ids[self._added]

    def receive(self, upload: Upload) -> None:
        """Check and add one upload, at once and whole; raises :class:`UploadRefused` with the reason."""
        at, rows = self._check(upload)
        try:
            self._add(rows, [upload])
        except ValueError as error:
            raise UploadRefused(upload, str(error)) from error
        self._added[at] = True

    def receive_all(self, uploads: Sequence[Upload]) -> dict[int, UploadRefused]:
        """Several, as if one after the other, in less time. Those that are refused, by their place."""
        refused, first, waiting = dict[int, UploadRefused](), 0, 0
        for place, upload in enumerate(uploads, start=1):
            waiting += getattr(upload.ciphertexts, "nbytes", 0)
            if waiting >= self._sum.at_once or place == len(uploads):
                found = self._receive_some(uploads[first:place])
                refused.update((first + at, error) for at, error in found.items())
                first, waiting = place, 0
        return refused

    def _receive_some(self, uploads: Sequence[Upload]) -> dict[int, UploadRefused]:
        if len(uploads) < 2:
            return self._one_by_one(uploads)
        checked = self._check_all(uploads) if self._sum.repeats else None
        if checked is not None:
            at, rows = checked
            try:
                self._add(rows, uploads)
            except ValueError:  # it does not say which
                checked = None
            else:
                self._added[at] = True
        return self._one_by_one(uploads) if checked is None else {}

    def _one_by_one(self, uploads: Sequence[Upload]) -> dict[int, UploadRefused]:
        refused = {}
        for place, upload in enumerate(uploads):
            try:
                self.receive(upload)
            except UploadRefused as error:
                refused[place] = error
        return refused

    def _check(self, upload: Upload) -> tuple[int, Integers]:
        """Whose upload it is, by position, and which rows here it adds to, once its form is right."""
        blocks, ciphertexts = upload.blocks, upload.ciphertexts
        if not (isinstance(blocks, np.ndarray) and isinstance(ciphertexts, np.ndarray)):
            raise UploadRefused(upload, "blocks and ciphertexts are not arrays")
        at = self._roster.position(upload.user_id)
        if type(upload.round) is not int or upload.round != self._round:
            raise UploadRefused(upload, f"this is round {self._round}")
        if at is None:
            raise UploadRefused(upload, "no such user")
        if type(upload.head) is not bytes or upload.head != self._head:
            raise UploadRefused(upload, "is for other tables than those that opened this round")
        if self._added[at]:
            raise UploadRefused(upload, "has uploaded already")
        if self.closed:
            raise UploadRefused(upload, f"round {self._round} is closed")
        announced = self._roster.blocks[at] + self._shared
        if blocks.dtype != np.int64 or blocks.shape != (announced,):
            raise UploadRefused(upload, f"{blocks.shape} blocks, not the {announced} it announced")
        if ciphertexts.shape != (len(blocks), *self._shape[1:]) or ciphertexts.dtype != np.uint8:
            raise UploadRefused(upload, f"{ciphertexts.shape} {ciphertexts.dtype} is not the agreed shape")
        rows, count = blocks - self._first, self._shape[0]
        if len(rows) and (rows[0] < 0 or rows[-1] >= count or (rows[1:] <= rows[:-1]).any()):
            last = self._first + count - 1
            raise UploadRefused(upload, f"blocks are not strictly increasing within {self._first} to {last}")
        self._check_tag(upload)
        return at, rows

    def retract(self, upload: Upload) -> None:
        """Take an upload out again that was added in this round, to the last bit: another server, which
        holds other blocks, refused its part of it."""
        at = self._roster.position(upload.user_id)
        if at is None or not self._added[at]:
            return
        if self._tags is not None and upload.tag is not None:
            self._tags.remove(upload.user_id, upload.tag)
        self._sum.add(upload.blocks - self._first, self._evaluator.negate(upload.ciphertexts))
        self._answer = None
        self._added[at] = False

    def merge(self, partial: PartialSum) -> None:
        """Add what a combiner has checked and added up; a repeated one changes nothing.

        Raises :class:`ValueError` if only some of its users have been added before: then neither adding
        nor leaving it would be right.
        """
        positions = np.searchsorted(self._roster.user_ids, partial.user_ids)
        before = self._added[positions]
        if partial.round != self._round or before.all():
            return
        if before.any():
            raise ValueError("a partial sum holds users that have been added already, and others")
        if self._tags is not None:
            self._tags.merge(partial.tags)
        self._answer = None
        self._sum.merge(partial.blocks - self._first, partial.sums)
        self._added[positions] = True

    def partial(self, rows: Integers) -> PartialSum:
        """What has been added to some rows since the sums started from zeros."""
        tags = None if self._tags is None else self._tags.partial()
        return PartialSum(self._round, self.added, rows + self._first, self._sum.partial(rows), tags)

    def close(self) -> Closed:
        """Fix the set of uploads of this round. Says whose they are, and what an opener needs of the sums;
        asked again, the same again."""
        self.closed = True
        if self._answer is not None:
            return self._answer
        tags = None if self._tags is None else self._tags.closing()
        sums = self._sum.closing()
        self._answer = Closed(self._round, self._first, self.added, sums, tags, self._head)
        return self._answer

    def hold(self, closed: Closed) -> None:
        """Keep the lists of what :meth:`close` gave in the memory of an equal one, which others read as well:
        they are most of what a server holds while its sums are opened."""
        if self._answer is not None:
            self._answer = replace(self._answer, sums=self._sum.hold(self._answer.sums, closed.sums))

    def publish(self, opening: Opening | None = None) -> EncryptedItems:
        """End the round: the tables with everything that arrived, which open the next one.

        opening: an opener's answer, for schemes whose sums must be opened first. Raises :class:`ValueError`
        for one of something else; nothing changes then.
        """
        credited, proof = self.added, None
        if opening is not None:
            if (opening.round, opening.first) != (self._round, self._first):
                raise ValueError(f"an opening of round {opening.round} is not for round {self._round} here")
            if opening.closed != self._evaluator.digest(self.close()):
                raise ValueError("an opening of another set of uploads")
            self._sum.open(opening.sums)
            if self._tags is not None:
                self._tags.open(opening.tags)
            self._head, proof = opening.head, opening.proof
        self._round += 1
        self._added[:] = False
        self.closed, self._answer = False, None
        tag, wire = None if self._tags is None else self._tags.end(), self._sum.wire()
        start = self._start(wire)
        if start is not wire:
            self._sum = self._evaluator.aggregate(start)
        return EncryptedItems(self._round, self._first, wire, tag, credited, self._head, proof)

    def _start(self, wire: Wire) -> Wire:
        """What a round starts from: the tables that opened it, without the sums of the round before. Tables
        that come now begin with zeros, and those that go are gone."""
        self._shape, self._shared = wire.shape, 0
        if self._blocks is None:
            return wire
        layout = self._blocks.at(self._round)
        first, stop = layout.ranges[layout.borders.index(self._first)]
        fresh = layout.fresh[(layout.fresh >= first) & (layout.fresh < stop)] - first
        self._shared = layout.shared_within(first, stop)
        if stop - first == len(wire) and not len(fresh):
            return wire
        self._shape = (stop - first, *wire.shape[1:])
        start = self._evaluator.zeros(self._shape)
        kept = np.setdiff1d(np.arange(min(len(start), len(wire))), fresh)
        start[kept] = wire[kept]
        return start

    def _check_tag(self, upload: Upload) -> None:
        if (upload.tag is None) != (self._tags is None):
            raise UploadRefused(upload, "has a tag" if self._tags is None else "has no tag")
        if upload.tag is not None and not isinstance(upload.tag, np.ndarray):
            raise UploadRefused(upload, "its tag is not an array")
        if self._tags is None or upload.tag is None:
            return
        if upload.tag.dtype != np.uint8 or upload.tag.shape != self._tags.shape:
            raise UploadRefused(upload, f"its tag of {upload.tag.shape} is not of the agreed shape")

    def _check_all(self, uploads: Sequence[Upload]) -> tuple[Integers, Integers] | None:
        """As :meth:`_check` says of each, one after the other; None if it would refuse one."""
        if self.closed or not all(map(self._is_like_others, uploads)):
            return None
        ids = [one.user_id for one in uploads]
        if len(set(ids)) < len(ids):
            return None
        at = self._roster.user_ids.searchsorted(ids)
        named = np.array([len(one.blocks) for one in uploads])
        if at.max() >= len(self._added) or (named != self._roster.blocks[at] + self._shared).any():
            return None
        rows = np.concatenate([one.blocks for one in uploads])
        rows -= self._first
        rises, borders = rows[1:] > rows[:-1], np.cumsum(named)
        rises[borders[(borders > 0) & (borders < len(rows))] - 1] = True  # where another upload begins
        fits = (
            (self._roster.user_ids[at] == ids).all()
            and not self._added[at].any()
            and rises.all()
            and (not len(rows) or (rows.min() >= 0 and rows.max() < self._shape[0]))
        )
        return (at, rows) if fits else None

    def _is_like_others(self, upload: Upload) -> bool:
        """What can be said of an upload without its numbers."""
        tag, tags = upload.tag, self._tags
        return (
            type(upload.user_id) is type(upload.round) is int
            and upload.round == self._round
            and type(upload.head) is bytes
            and upload.head == self._head
            and type(upload.blocks) is np.ndarray
            and _has_form(upload.blocks, np.int64, (upload.blocks.size,))
            and _has_form(upload.ciphertexts, np.uint8, (upload.blocks.size, *self._shape[1:]))
            and (tag is None if tags is None else _has_form(tag, np.uint8, tags.shape))
        )

    def _add(self, rows: Integers, uploads: Sequence[Upload]) -> None:
        """Sums and tags, or neither: a malformed tag is found before anything is added."""
        wires = [one.ciphertexts for one in uploads]
        tags = [one.tag for one in uploads if one.tag is not None]
        if self._tags is None or not tags:
            self._sum.add_all(rows, wires)
            return
        self._tags.add_all([one.user_id for one in uploads], tags)
        try:
            self._sum.add_all(rows, wires)
        except ValueError:
            for one, tag in zip(uploads, tags, strict=True):
                self._tags.remove(one.user_id, tag)
            raise


def _has_form(array: object, kind: type, shape: tuple[int, ...]) -> bool:
    return type(array) is np.ndarray and array.dtype == kind and array.shape == shape
