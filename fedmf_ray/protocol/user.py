"""The users: private ratings, private vectors, and what they upload.

Users who live in one process share its arrays (:class:`Users`), but nothing of theirs mixes: what a user
computes does not depend, by a single bit, on who else is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import DivergenceError
from fedmf_ray.fixed_point import first_beyond, would_do
from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import KeptRatings, RatingBlock
from fedmf_ray.learning.items import Items, user_side
from fedmf_ray.learning.metrics import ErrorSums, kept_error_sums
from fedmf_ray.learning.ranking import Lists, RankingSums, ranked_by, ranking_sums
from fedmf_ray.learning.rules import Learned, Memory
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.upload_rows import UploadRows, draw_decoys
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import KeyHolder
from fedmf_ray.tables import RATERS, SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

NO_HEADS: Mapping[int, bytes] = MappingProxyType({})


class Contribution(NamedTuple):
    """What a contiguous range of users adds to the tables in a round.

    steps: (ratings, width) to the rows of the items that they rated. shared: to each shared table, by its
    name: (users, rows, width), or few rows of each user.
    """

    steps: Floats
    shared: Mapping[str, Floats | SparseRows]


class Users:
    """Some users, in order of their ids, at positions 0, 1, ...

    user_ids: (users,) int64.
    train, test: ratings minus the mean.
    vectors: (users, predictors), where they are now: u_i, and b_i if there are biases.
    opened: where they were when the round opened; every update starts there, so that one that is repeated
    gives the same steps.
    counted, parts: what the item table has of them as raters: (users,) 1 in n_j or not yet, and (ratings, k)
    what of the rule's ``parts`` columns is theirs.
    upload_rows: what each uploads every round; decoys are drawn here unless given.
    """

    def __init__(
        self, ratings: Sequence[UserRatings], terms: Terms, decoys: Sequence[Integers] | None = None
    ) -> None:
        if decoys is None:
            decoys = [draw_decoys(user.items, terms) for user in ratings]
        self.user_ids = np.array([user.user_id for user in ratings], np.int64)
        mean = terms.setting.steps.mean
        self.train = KeptRatings([(user.items, user.values) for user in ratings], mean)
        self.test = KeptRatings([(user.test_items, user.test_values) for user in ratings], mean)
        self.rating_counts = np.diff(self.train.starts)
        """(users,) training ratings."""
        self.opened = terms.start.users(self.user_ids.tolist(), terms.setting)
        self.vectors = self.opened.copy()
        self.counted = np.zeros(len(ratings))
        self.parts = np.zeros((len(self.train.items), terms.rule.part_numbers(terms.items)))
        self._offered = self.parts.copy()
        self.upload_rows = UploadRows(self.train, decoys, terms.blocks)

    def settle(self, credited: Integers, terms: Terms, round_number: int) -> None:
        """Learn whose uploads of a round are in the matrix; credited: ids of users, ours or others'."""
        if terms.paused(round_number):
            return
        mine = np.isin(self.user_ids, credited)
        self.counted[mine] = 1.0
        if self.parts.size:
            np.copyto(self.parts, self._offered, where=np.repeat(mine, self.rating_counts)[:, None])

    def solve(self, first: int, stop: int, items: Items, terms: Terms) -> None:
        """A contiguous range of users solves for its vectors under the matrix of the round, if the rule
        does."""
        if terms.rule.solves:
            block = self.train.part(first, stop)
            self.vectors[first:stop] = terms.rule.solve(items, block, terms.setting)

    def open(self) -> None:
        """A round opens: every update in it starts from where the vectors are now."""
        self.opened[:] = self.vectors

    def restored(self) -> None:
        """They are as a checkpoint says: what their latest uploads offered is in the matrix already."""
        self.vectors[:] = self.opened
        self._offered[:] = self.parts

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

    def update(self, first: int, stop: int, items: Items, terms: Terms, round_number: int) -> Contribution:
        """Move the vectors of a contiguous range of users in a round; returns what they add.

        In a census they only count themselves. Raises :class:`DivergenceError` if a step exceeds
        ``update_bound`` or a vector is no longer finite.
        """
        block, census = self.train.part(first, stop), terms.census(round_number)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported below, with a name
            learned = self._learn(first, stop, items, block, terms, round_number)
            shared = self._shared(learned, items, block, terms, round_number)
            if terms.paused(round_number):
                steps = np.zeros((len(block.items), terms.items.width))
            else:
                steps = self._row_steps(first, stop, learned, items, block, terms, census)
            beyond = _first_beyond(steps, terms.items.update_bounds)
        if beyond is not None:
            at = beyond[0]
            owner = self.user_ids[first + int(np.searchsorted(block.starts, at, side="right")) - 1]
            bound = terms.setting.point.update_bound
            raise DivergenceError(
                f"user {owner}, item {terms.item_ids[block.items[at]]}"
                f"{would_do(steps, terms.items.update_bounds, bound)}",
                f"a step is over protocol.update_bound {bound:g}: raise it; if errors have grown from round "
                f"to round, training diverges: {terms.rule.calmer}",
            )
        self._check_shared(first, shared, terms.layout(round_number).present[1:], terms)
        finite = np.isfinite(learned.vectors).all(axis=1)
        if not finite.all():
            raise DivergenceError(
                f"user {self.user_ids[first + int(np.argmin(finite))]}",
                f"its vector is no longer finite: {terms.rule.calmer}",
            )
        self.vectors[first:stop] = learned.vectors
        return Contribution(steps, shared)

    def _learn(
        self, first: int, stop: int, items: Items, block: RatingBlock, terms: Terms, round_number: int
    ) -> Learned:
        vectors = self.opened[first:stop]
        if terms.paused(round_number):
            return Learned(vectors, np.zeros((len(block.items), 0)))
        if not terms.census(round_number):
            mine = slice(self.train.starts[first], self.train.starts[stop])
            memory = Memory(self.counted[first:stop], self.parts[mine])
            return terms.rule.learn(vectors, items, block, memory, terms.setting)
        missing = np.repeat(1.0 - self.counted[first:stop], np.diff(block.starts))
        steps = terms.rule.hold(items, block, missing, terms.setting)
        tables = terms.layout(round_number).present[1:]
        none = {table.name: np.zeros((stop - first, table.rows, table.width)) for table in tables}
        return Learned(vectors, steps, shared=none)

    def _shared(
        self, learned: Learned, items: Items, block: RatingBlock, terms: Terms, round_number: int
    ) -> Mapping[str, Floats | SparseRows]:
        """What users add to shared tables, passing ones too."""
        rule, shared = terms.rule, dict[str, Floats | SparseRows](learned.shared)
        for table in terms.layout(round_number).present[1:]:
            if table.name not in shared:
                shared[table.name] = rule.passing(table.name, learned.vectors, items, block, terms.setting)
        return shared

    def _row_steps(
        self,
        first: int,
        stop: int,
        learned: Learned,
        items: Items,
        block: RatingBlock,
        terms: Terms,
        census: bool,
    ) -> Floats:
        """(ratings, width) of all columns: those of the rule, its parts, and the counts. Where an item has
        too few raters, only the counts are not zero."""
        at, table = terms.learns, terms.items
        if at == table.width:
            return learned.steps
        ratings, parts = np.diff(block.starts), self.parts.shape[1]
        steps = np.zeros((len(learned.steps), table.width))
        steps[:, :at] = learned.steps
        kept = np.ones(len(steps), bool) if items.learned is None else items.learned[block.items]
        if learned.parts is not None:
            mine = slice(self.train.starts[first], self.train.starts[stop])
            there, offered = self.parts[mine], self._offered[mine]
            offered[:] = there
            offered[kept] = learned.parts[kept]
            steps[:, at : at + parts] = offered - there
        steps[~kept, :at] = 0.0
        if RATERS in table and (census or not terms.rule.census):
            steps[:, -1] = np.repeat(1.0 - self.counted[first:stop], ratings)
        return steps

    def _check_shared(
        self, first: int, shared: Mapping[str, Floats | SparseRows], tables: Sequence[Table], terms: Terms
    ) -> None:
        for table in tables:
            added = shared[table.name]
            values = added.values if isinstance(added, SparseRows) else added.reshape(-1, table.width)
            beyond = _first_beyond(values, table.update_bounds)
            if beyond is not None:
                user = beyond[0] // table.rows
                if isinstance(added, SparseRows):
                    user = int(np.searchsorted(added.starts, beyond[0], side="right")) - 1
                raise DivergenceError(
                    f"user {self.user_ids[first + user]}, table {table.name}",
                    f"what it adds is over its bound, training diverges: {terms.rule.calmer}",
                )

    def uploads(
        self,
        first: int,
        stop: int,
        round_number: int,
        added: Contribution,
        key: KeyHolder,
        terms: Terms,
        heads: Mapping[int, bytes] = NO_HEADS,
    ) -> list[list[Upload]]:
        """What a contiguous range of users uploads: for each of them one encrypted piece per server.

        added: as :meth:`update` returns it. heads: of the tables that they read, by the first block of a
        server, where schemes keep heads.
        """
        mine, layout = slice(self.train.starts[first], self.train.starts[stop]), terms.layout(round_number)
        cut, shared = self.upload_rows.at(layout), [added.shared[table.name] for table in layout.present[1:]]
        blocks, integers = cut.filled(first, stop, mine, added.steps, shared)
        pieces = cut.pieces(first, stop, self.user_ids[first:stop].tolist())
        full_text = terms.part_text_sparsity == 0
        wire, tags = key.protect(round_number, integers, blocks, pieces, heads, full_text)
        each: Sequence[Wire | None] = tags or [None] * len(pieces)
        uploads = [
            Upload(round_number, user_id, blocks[begin:end], wire[begin:end], tag, heads.get(to, b""))
            for (user_id, to, begin, end), tag in zip(pieces, each, strict=True)
        ]
        servers = terms.blocks.servers
        return [uploads[at : at + servers] for at in range(0, len(uploads), servers)]

    def scores(self, user: int, items: Items, terms: Terms) -> Floats:
        """(items,) what a user's list is sorted by: what it would rate every item, less the mean, or what the
        rule has instead."""
        block = self.train.part(user, user + 1)
        return terms.rule.scores(self.vectors[user], items, block, terms.setting)

    def recommend(
        self, user_id: int, items: Items, terms: Terms, count: int, popularity: float
    ) -> tuple[Integers, Floats]:
        """What a user would be shown: (k,) rows of items that it did not train on, the best first, and the
        ratings that it is expected to give, or the scores of a rule that predicts none. Equal ones: the first
        row first. popularity: stars for it."""
        user = int(np.flatnonzero(self.user_ids == user_id)[0])
        expected = self.scores(user, items, terms)
        if terms.rule.predicts:
            expected = expected + terms.setting.steps.mean
        best = np.argsort(-ranked_by(expected, items.raters, popularity), kind="stable")
        best = best[~np.isin(best, self.train.part(user, user + 1).items)][:count]
        return best, expected[best]

    def rank(self, items: Items, terms: Terms, lists: Lists) -> RankingSums:
        """How good each user's list would be under the given items, as sums."""
        return ranking_sums(
            lambda user: self.scores(user, items, terms),
            self.train,
            self.test,
            lists.less(terms.setting.steps.mean),
            items.raters,
        )

    def errors(self, items: Items, terms: Terms) -> ErrorSums:
        """Each user's errors under the given items, as sums."""
        rule, vectors = terms.rule, user_side(self.vectors, terms.setting.biases)
        more = None
        if rule.corrects(items):

            def more(user: int, rows: Integers) -> Floats:
                block = self.train.part(user, user + 1)
                return rule.corrections(self.vectors[user], items, block, rows, terms.setting)

        return kept_error_sums(vectors, items.vectors, self.train, self.test, terms.clip, more)


def _first_beyond(values: Floats, bounds: Floats) -> tuple[int, int] | None:
    """As :func:`first_beyond`, in half the time where no value is beyond any bound."""
    return None if compiled.within(values, float(bounds.min())) else first_beyond(values, bounds)
