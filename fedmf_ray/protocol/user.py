"""The users: private ratings, private vectors, and what they upload.

Users who live in one process share its arrays (:class:`Users`), but nothing of theirs mixes: what a user
computes does not depend, by a single bit, on who its neighbours are.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray import factors, ridge
from fedmf_ray.crypto.fixed_point import first_beyond
from fedmf_ray.crypto.schemes import KeyHolder
from fedmf_ray.errors import DivergenceError
from fedmf_ray.factors import RatingBlock, initial_user, inner
from fedmf_ray.metrics import ErrorSums, error_sums
from fedmf_ray.protocol.messages import ItemBlocks, Upload
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.rows import Items, RowLayout, item_columns, user_side

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Users:
    """Some users, in order of their ids, at positions 0, 1, ...

    user_ids: (users,) int64.
    train, test: ratings minus the mean.
    vectors: (users, d) or with biases (users, d + 1), where they are now.
    opened: where they were when the round opened; every update starts there, so that one that is repeated
    gives the same steps.
    counted, part: what the item matrix has of them as raters: (users,) 1 in n_j or not yet, and (ratings,)
    how much of L_j.
    decoys: the rows without ratings that each uploads, drawn once: fresh ones each round would fall to
    intersecting the rounds. Drawn here unless given.
    """

    def __init__(
        self, ratings: Sequence[UserRatings], terms: Terms, decoys: Sequence[Integers] | None = None
    ) -> None:
        if decoys is None:
            decoys = [_draw_decoys(user.items, terms) for user in ratings]
        self.user_ids = np.array([user.user_id for user in ratings], np.int64)
        mean = terms.steps.mean
        self.train = RatingBlock.of([(user.items, user.values - mean) for user in ratings])
        self.test = RatingBlock.of([(user.test_items, user.test_values - mean) for user in ratings])
        self.decoys = decoys
        self.rating_counts = np.diff(self.train.starts)
        """(users,) training ratings."""
        layout = terms.layout
        self.opened = np.zeros((len(ratings), layout.learned))
        for at, user in enumerate(ratings):
            start = initial_user(terms.init, terms.init_scale, user.user_id, layout.factors, terms.seed)
            self.opened[at, : layout.factors] = start
        self.vectors = self.opened.copy()
        self.counted = np.zeros(len(ratings))
        self.part = np.zeros(len(self.train.items) if layout.curvature else 0)
        self._offered = self.part.copy()
        self._blocks = _Ragged.of(
            [
                np.unique(np.concatenate([user.items, extra]) // terms.blocks.rows)
                for user, extra in zip(ratings, decoys, strict=True)
            ]
        )
        self._row_of_rating = self._find_rows(terms.blocks)
        self.upload_rows = np.array(
            [len(np.unique(user.items)) + len(extra) for user, extra in zip(ratings, decoys, strict=True)]
        )
        """(users,) how many item rows each uploads every round, rated ones and decoys."""
        self.upload_blocks = np.diff(self._blocks.starts)
        """(users,) how many blocks those rows are in."""

    def settle(self, credited: Integers) -> None:
        """Learn whose uploads are in the matrix that opens a round; credited: ids of users, ours or
        others'."""
        mine = np.isin(self.user_ids, credited)
        self.counted[mine] = 1.0
        if len(self.part):
            np.copyto(self.part, self._offered, where=np.repeat(mine, self.rating_counts))

    def refit(self, first: int, stop: int, items: Items, terms: Terms) -> None:
        """Some neighbours solve for their vectors under the matrix of the round (rule ``ridge``)."""
        block = self.train.part(first, stop)
        self.vectors[first:stop] = ridge.refit(items, block, terms.steps, terms.layout.bias)

    def open(self) -> None:
        """A round opens: every update in it starts from where the vectors are now."""
        self.opened[:] = self.vectors

    def restored(self) -> None:
        """They are as a checkpoint says: what their latest uploads offered is in the matrix already."""
        self.vectors[:] = self.opened
        self._offered[:] = self.part

    def _find_rows(self, layout: ItemBlocks) -> Integers:
        """(ratings,) where each rating's item row is among all rows of all blocks that users upload."""
        users = np.arange(len(self))
        # One number a (user, block), and they increase.
        places = np.repeat(users, np.diff(self._blocks.starts)) * layout.count + self._blocks.values
        rated = np.repeat(users, self.rating_counts) * layout.count + self.train.items // layout.rows
        return np.searchsorted(places, rated) * layout.rows + self.train.items % layout.rows

    def __len__(self) -> int:
        return len(self.user_ids)

    def blocks_within(self, first: int, stop: int) -> Integers:
        """(users,) how many blocks of a range each uploads every round."""
        inside = np.concatenate(
            [[0], np.cumsum((self._blocks.values >= first) & (self._blocks.values < stop))]
        )
        return np.diff(inside[self._blocks.starts])

    def blocks_under(self, rows: int) -> Integers:
        """(users,) how many blocks each would upload if so many item rows made one."""
        counts = []
        for user, decoys in enumerate(self.decoys):
            items = self.train.part(user, user + 1).items
            counts.append(len(np.unique(np.concatenate([items, decoys]) // rows)))
        return np.array(counts, np.int64)

    def digests(self) -> NDArray[np.uint8]:
        """(users, 16) of each one's ratings: a checkpoint belongs to these users if it has the same."""
        digests = []
        for user in range(len(self)):
            mine = (*self.train.part(user, user + 1)[1:], *self.test.part(user, user + 1)[1:])
            joined = b"".join(array.tobytes() for array in mine)
            digests.append(hashlib.blake2b(joined, digest_size=16).digest())
        return np.frombuffer(b"".join(digests), np.uint8).reshape(len(self), 16)

    def update(self, first: int, stop: int, items: Items, terms: Terms, census: bool = False) -> Floats:
        """Move the vectors of some neighbours; returns their (ratings, columns) item steps.

        census: they only count themselves. Raises :class:`DivergenceError` if a step exceeds
        ``update_bound`` or a vector is no longer finite.
        """
        block, layout = self.train.part(first, stop), terms.layout
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported below, with a name
            if census:
                moved, learned = self.opened[first:stop], np.zeros((len(block.items), layout.learned))
                if layout.prior:
                    missing = np.repeat(1.0 - self.counted[first:stop], np.diff(block.starts))
                    learned = ridge.standing(items.vectors.take(block.items, axis=0), missing, layout)
            else:
                moved, learned = self._learn(first, stop, items, block, terms)
            steps = learned
            if layout.raters:
                offers = layout.curvature and not census
                steps = self._with_counts(first, stop, learned, items, block, layout, offers)
            beyond = first_beyond(steps, terms.grid.update_bounds)
        if beyond is not None:
            at = beyond[0]
            owner = self.user_ids[first + int(np.searchsorted(block.starts, at, side="right")) - 1]
            raise DivergenceError(
                f"user {owner}, item {terms.item_ids[block.items[at]]}",
                f"a step is over protocol.update_bound {terms.grid.main.update_bound:g}, training diverges: "
                f"{terms.calmer}, or raise the bound",
            )
        finite = np.isfinite(moved).all(axis=1)
        if not finite.all():
            raise DivergenceError(
                f"user {self.user_ids[first + int(np.argmin(finite))]}",
                f"its vector is no longer finite: {terms.calmer}",
            )
        self.vectors[first:stop] = moved
        return steps

    def _learn(
        self, first: int, stop: int, items: Items, block: RatingBlock, terms: Terms
    ) -> tuple[Floats, Floats]:
        """New vectors of some neighbours, and the steps of the columns that predictions are made of."""
        layout, vectors = terms.layout, self.opened[first:stop]
        if terms.rule == "ridge":
            raters = self._raters(first, stop, layout)
            return vectors, ridge.item_steps(vectors, items, block, terms.steps, raters, layout)
        rule, side = factors.RULES[terms.rule], user_side(vectors, layout)
        moved, steps = rule(side, items.vectors, block, terms.steps, layout.bias)
        return moved[:, : layout.learned], item_columns(steps, layout)

    def _raters(self, first: int, stop: int, layout: RowLayout) -> ridge.Raters:
        """What some neighbours know of themselves, under the ``ridge`` rule."""
        mine = slice(self.train.starts[first], self.train.starts[stop])
        now = ridge.curvatures(self.opened[first:stop], layout.factors)
        return ridge.Raters(self.part[mine], self.counted[first:stop], now)

    def _with_counts(
        self,
        first: int,
        stop: int,
        learned: Floats,
        items: Items,
        block: RatingBlock,
        layout: RowLayout,
        offers: bool,
    ) -> Floats:
        """The columns of counts beside the learned ones; zeros where an item has too few raters.

        offers: users offer their parts of L_j, too.
        """
        ratings, at = np.diff(block.starts), layout.learned
        steps = np.zeros((len(learned), layout.width))
        steps[:, :at] = learned
        kept = np.ones(len(steps), bool) if items.learned is None else items.learned[block.items]
        if offers:
            mine = slice(self.train.starts[first], self.train.starts[stop])
            part, offered = self.part[mine], self._offered[mine]
            offered[:] = part
            now = np.repeat(ridge.curvatures(self.opened[first:stop], layout.factors), ratings)
            offered[kept] = now[kept]
            steps[:, at] = part - offered
        steps[~kept, :at] = 0.0
        steps[:, -1] = np.repeat(self.counted[first:stop] - 1.0, ratings)
        return steps

    def uploads(
        self, first: int, stop: int, round_number: int, item_steps: Floats, key: KeyHolder, terms: Terms
    ) -> list[list[Upload]]:
        """What some neighbours upload: for each of them one piece a server, encrypted minus its steps.

        item_steps: (ratings, factors), as :meth:`update` returns them.
        """
        layout, blocks = terms.blocks, self._blocks.part(first, stop)
        begin, end = self.train.starts[first], self.train.starts[stop]
        at = self._row_of_rating[begin:end] - self._blocks.starts[first] * layout.rows
        values = np.zeros((len(blocks.values), layout.columns))
        values.reshape(-1, layout.width)[at] = -item_steps
        pieces = self._pieces(first, stop, layout)
        tags = []
        if key.authenticator is not None:
            for user_id, server_first, begin, end in pieces:
                plaintexts = key.plaintexts(values[begin:end])
                label = user_id, round_number, server_first
                tags.append(key.authenticator.tag(blocks.values[begin:end], plaintexts, *label))
        wire = key.encrypt(values, tags)
        uploads = [
            Upload(round_number, user_id, blocks.values[begin:end], wire[begin:end], None)
            for user_id, _, begin, end in pieces
        ]
        if tags:
            rows = wire[len(values) :, 0]
            uploads = [replace(upload, tag=tag) for upload, tag in zip(uploads, rows, strict=True)]
        servers = layout.servers
        return [uploads[at : at + servers] for at in range(0, len(uploads), servers)]

    def _pieces(self, first: int, stop: int, layout: ItemBlocks) -> list[tuple[int, int, int, int]]:
        """For each user and server: its id, the server's first block, and which blocks are in its piece."""
        blocks, borders = self._blocks.part(first, stop), layout.borders
        starts, user_ids = blocks.starts.tolist(), self.user_ids[first:stop].tolist()
        pieces = []
        for user_id, begin, end in zip(user_ids, starts[:-1], starts[1:], strict=True):
            cuts = [begin, end]
            if layout.servers > 1:
                cuts = (begin + np.searchsorted(blocks.values[begin:end], borders)).tolist()
            for at, server_first in enumerate(borders[:-1]):
                pieces.append((user_id, server_first, cuts[at], cuts[at + 1]))
        return pieces

    def scores(self, user: int, items: Items, layout: RowLayout) -> Floats:
        """(items,) what a user would rate every item, less the mean."""
        return inner(user_side(self.vectors[user : user + 1], layout), items.vectors)

    def errors(self, items: Items, layout: RowLayout) -> ErrorSums:
        """Each user's errors under the given items, as sums."""
        return error_sums(user_side(self.vectors, layout), items.vectors, self.train, self.test)


@dataclass(frozen=True)
class _Ragged:
    """Arrays of different lengths, one after the other: number k is values[starts[k] : starts[k + 1]]."""

    starts: Integers
    values: Integers

    @classmethod
    def of(cls, arrays: Sequence[Integers]) -> _Ragged:
        starts = np.concatenate([[0], np.cumsum([len(array) for array in arrays])])
        return cls(starts, np.concatenate(arrays).astype(np.int64))

    def part(self, first: int, stop: int) -> _Ragged:
        begin, end = self.starts[first], self.starts[stop]
        return _Ragged(self.starts[first : stop + 1] - begin, self.values[begin:end])


def uploaded_count(rated: int, items: int, part_text_sparsity: float) -> int:
    """max(|rated|, ceil((1 - s) * items)), with the product rounded so that 0.3 * 40 is 12."""
    return max(rated, math.ceil(round((1.0 - part_text_sparsity) * items, 9)))


def _draw_decoys(rated: Integers, terms: Terms) -> Integers:
    items = terms.blocks.items
    count = uploaded_count(len(np.unique(rated)), items, terms.part_text_sparsity) - len(np.unique(rated))
    if not count:
        return np.array([], np.int64)
    others = np.setdiff1d(np.arange(items), rated)
    # Not from the scenario's seed: whoever knows that could tell decoys from rated rows. Results do not
    # depend on decoys, they carry zeros.
    random = np.random.default_rng(secrets.randbits(128))
    return np.sort(random.choice(others, size=count, replace=False))
