"""The users: private ratings, private vectors, and what they upload.

Users who live in one process share its arrays (:class:`Users`), but nothing of theirs mixes: what a user
computes does not depend, by a single bit, on who its neighbours are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import DivergenceError
from fedmf_ray.fixed_point import first_beyond
from fedmf_ray.learning import factors, ridge
from fedmf_ray.learning.factors import RatingBlock, initial_user, inner
from fedmf_ray.learning.metrics import ErrorSums, error_sums
from fedmf_ray.learning.ranking import Lists, RankingSums, ranked_by, ranking_sums
from fedmf_ray.learning.rows import Items, RowLayout, item_columns, user_side
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.upload_rows import UploadRows, draw_decoys
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes.registry import KeyHolder

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
    upload_rows: what each uploads every round; decoys are drawn here unless given.
    """

    def __init__(
        self, ratings: Sequence[UserRatings], terms: Terms, decoys: Sequence[Integers] | None = None
    ) -> None:
        if decoys is None:
            decoys = [draw_decoys(user.items, terms) for user in ratings]
        self.user_ids = np.array([user.user_id for user in ratings], np.int64)
        mean = terms.steps.mean
        self.train = RatingBlock.of([(user.items, user.values - mean) for user in ratings])
        self.test = RatingBlock.of([(user.test_items, user.test_values - mean) for user in ratings])
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
        self.upload_rows = UploadRows(self.train, decoys, terms.blocks)

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

    def __len__(self) -> int:
        return len(self.user_ids)

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
        mine = slice(self.train.starts[first], self.train.starts[stop])
        blocks, values = self.upload_rows.filled(first, stop, mine, -item_steps)
        pieces, user_ids = self.upload_rows.pieces(first, stop), self.user_ids[first:stop].tolist()
        tags = []
        if key.authenticator is not None:
            for user, server_first, begin, end in pieces:
                plaintexts = key.plaintexts(values[begin:end])
                label = user_ids[user], round_number, server_first
                tags.append(key.authenticator.tag(blocks[begin:end], plaintexts, *label))
        wire = key.encrypt(values, tags)
        uploads = [
            Upload(round_number, user_ids[user], blocks[begin:end], wire[begin:end], None)
            for user, _, begin, end in pieces
        ]
        if tags:
            rows = wire[len(values) :, 0]
            uploads = [replace(upload, tag=tag) for upload, tag in zip(uploads, rows, strict=True)]
        servers = terms.blocks.servers
        return [uploads[at : at + servers] for at in range(0, len(uploads), servers)]

    def scores(self, user: int, items: Items, layout: RowLayout) -> Floats:
        """(items,) what a user would rate every item, less the mean."""
        return inner(user_side(self.vectors[user : user + 1], layout), items.vectors)

    def recommend(
        self, user_id: int, items: Items, terms: Terms, count: int, popularity: float
    ) -> tuple[Integers, Floats]:
        """What a user would be shown: (k,) rows of items that it did not train on, the best first, and the
        ratings that it is expected to give. Equal ones: the first row first. popularity: stars for it."""
        user = int(np.flatnonzero(self.user_ids == user_id)[0])
        expected = self.scores(user, items, terms.layout) + terms.steps.mean
        best = np.argsort(-ranked_by(expected, items.raters, popularity), kind="stable")
        best = best[~np.isin(best, self.train.part(user, user + 1).items)][:count]
        return best, expected[best]

    def rank(self, items: Items, terms: Terms, lists: Lists) -> RankingSums:
        """How good each user's list would be under the given items, as sums."""
        return ranking_sums(
            lambda user: self.scores(user, items, terms.layout),
            self.train,
            self.test,
            lists.less(terms.steps.mean),
            items.raters,
        )

    def errors(self, items: Items, layout: RowLayout) -> ErrorSums:
        """Each user's errors under the given items, as sums."""
        return error_sums(user_side(self.vectors, layout), items.vectors, self.train, self.test)
