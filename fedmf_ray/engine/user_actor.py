"""The user actor: a process that hosts users. A plain class; a backend decides where it lives.

Every call may be repeated after a failure, on this actor or on one that replaced it, and has the same result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.engine.allocator import give_back_freed_memory, keep_freed_memory
from fedmf_ray.engine.answers import Hosting, Joined, Reading, Report
from fedmf_ray.engine.charging import Charging
from fedmf_ray.engine.collusion import read_uploads
from fedmf_ray.engine.combining import NOTHING, Combining
from fedmf_ray.engine.keeper import Sides
from fedmf_ray.engine.lister import Lister
from fedmf_ray.engine.opening import open_sums
from fedmf_ray.engine.pieces import CALL_BLOCKS, CALL_RATINGS, COMBINED_RATINGS, cut, pairs, runs, shared_work
from fedmf_ray.engine.sealers import Sealers
from fedmf_ray.engine.sealing import Box
from fedmf_ray.engine.seats import Seats
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.items import Items
from fedmf_ray.planning.participation import ABSENT, DROPPED, LATE, Fates
from fedmf_ray.privacy.views import ClearUpload
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.items import Ledger, encrypt_items, initial_tables, open_tables
from fedmf_ray.protocol.messages import Closed, EncryptedItems, PartialSum, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.seals import Settled
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.users import GeneratedMembers, Members
from fedmf_ray.storage import user_files
from fedmf_ray.storage.checkpoint_files import CheckpointError, Part

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_MANY_CALLS = 2
"""After more calls in a round, taking memory again is nothing beside them."""

_CACHE_RATINGS = 4096
"""Users updated together have at most so many ratings: their arrays then stay in a cache, and what Python
does once for all of them is little beside the work."""


class UserActor(Charging, Lister, Seats, Sealers):
    """Hosts one or more users: their ratings and vectors never leave it."""

    def __init__(self, terms: Terms, hosting: Hosting) -> None:
        """Stores its arguments only: Ray hides the reason if a constructor fails."""
        super().__init__(hosting.sealed)
        self._terms, self._hosting = terms, hosting
        self._round = -1
        self._open: tuple[Floats, Items] | None = None
        self._report: Report | None = None

    def set_up(
        self, members: Members | Box, saved: Sequence[Part] = (), sides: Sides | None = None
    ) -> Joined:
        """Make the users, as they were when ``saved`` was written if given. sides: of the scheme, unless this
        actor has them from a session."""
        members = self._members_in(members) if isinstance(members, Box) else members
        if isinstance(members, GeneratedMembers):
            members = [members.recipe.user(user_id) for user_id in members.user_ids]
        keep_freed_memory()
        self._evaluator, self._key = sides or (self._evaluator, self._key)
        key = self._key
        if saved:
            self._users, self._ledger = user_files.load(saved, members, self._terms, key)
        else:
            self._users, self._ledger = Users(members, self._terms), Ledger(key, self._terms)
        del members
        give_back_freed_memory()
        users, borders = self._users, self._terms.blocks.borders
        blocks = np.stack([users.upload_rows.within(*border) for border in pairwise(borders)], axis=1)
        self._calls = {layout.count: self._calls_of(layout) for layout in self._terms.blocks.layouts}
        self._count_blocks()
        self._roster = [Roster(users.user_ids, column) for column in blocks.T]
        # Unpacking the shared table happens at the first encryption; it is set-up, not round 0.
        key.encrypt(np.zeros((1, self._terms.blocks.columns), np.int64))
        return Joined(users.user_ids, blocks, self._calls)

    def _calls_of(self, layout: Blocks) -> Integers:
        """Where the calls begin that train users in a round of this layout."""
        if not self._hosting.together:
            return cut(self._users.upload_rows.at(layout).block_counts, CALL_BLOCKS)
        combine = self._hosting.combine
        shared = shared_work(layout.shared_numbers, combine)
        return cut(self._users.rating_counts + shared, COMBINED_RATINGS if combine else CALL_RATINGS)

    def _work(self, layout: Blocks) -> Integers:
        """(users,) ratings; what each adds to shared tables takes as much memory as so many of them."""
        return self._users.rating_counts + layout.shared_numbers

    @property
    def _layout(self) -> Blocks:
        """Of the open round."""
        return self._terms.layout(self._round)

    def encrypt_initial_items(self) -> tuple[Any, ...]:
        """Make and encrypt the tables that open round 0 (one user does this for all): a message per server,
        and the CPU seconds that it took."""
        started = cpu_clock()
        messages = encrypt_items(initial_tables(self._terms), self._key, self._terms)
        return (*messages, cpu_clock() - started)

    def open_round(self, number: int, *parts: Reading | EncryptedItems | Settled) -> Report:
        """Begin the round of this number with the matrix that all readings together are, or that is read here
        from the messages; report the users' errors under it. Asked again, it says the same again."""
        readings = [part for part in parts if isinstance(part, Reading)]
        if not readings:
            published = (part for part in parts if not isinstance(part, Reading))
            readings = [self._read_share(0, 1, *published)]
        shares = [self._take_in(reading.share) for reading in readings]
        if shares[0].round == self._round == number and self._report is not None:
            return self._report
        started = cpu_clock()
        news = self._ledger.settle(shares, number)
        settled = cpu_clock()
        tables = open_tables(shares, self._terms)
        self._charge_reading(settled - started, cpu_clock() - settled, readings, shares)
        before, setting = self._open and self._open[1], self._terms.setting
        users, self._round = self._users, number
        items = self._terms.rule.read(tables, setting, counted=self._round > 0)
        self._open = tables[0], items
        if news:
            credited = np.concatenate([share.credited for share in shares])
            users.settle(credited, self._terms, number - 1)
        self._solve()
        change = self._terms.rule.change(before, items, setting) if before else float("nan")
        self._report = Report(
            users.user_ids,
            users.errors(items, self._terms),
            np.sum(np.abs(users.vectors - users.opened), axis=1),
            change,
        )
        users.open()
        self._combining = Combining(self._evaluator, self._roster, self._terms.blocks)
        return self._report

    def _solve(self) -> None:
        """Users solve for their vectors under the matrix that has just been opened, if the rule says so.

        It is part of their update in this round, and the vectors are those that they would predict with.
        """
        users = self._users
        self._solve_cpu_s = np.zeros(len(users))
        if not self._terms.rule.solves:
            return
        started = cpu_clock()
        self._terms.rule.prepare(self._items, self._terms.setting)
        self._solve_cpu_s += cpu_clock() - started
        for first, stop in self._groups(0, len(users), np.ones(len(users), bool)):
            started = cpu_clock()
            users.solve(first, stop, self._items, self._terms)
            self._solve_cpu_s[first:stop] += self._shared(first, stop, cpu_clock() - started)

    def open_sums(self, least: int, *closed: Closed | None) -> tuple[Any, ...]:
        """Open the sums of a closed round, for schemes in which that takes a user: an answer per server that
        has closed, and what it took. least: as of :meth:`Ledger.open`."""
        return open_sums(self._ledger, least, closed, self._hosting.threads)

    def train(self, call: int, fates: Fates, late: bool, *messages: EncryptedItems) -> tuple[Any, ...]:
        """One call's worth of users: update vectors, encrypt steps, for the round that is open.

        fates: of this call's users. late: now it is the turn of those who are late. messages: of the round,
        if uploads are combined. Returns what is for each server (uploads, unless they are combined), the
        costs of these users, and the combiners' receipt.
        """
        first, stop = self._calls[self._layout.count][call : call + 2].tolist()
        chosen = (fates == LATE) if late else (fates != ABSENT) & (fates != LATE)
        combine = self._hosting.combine and not late
        outgoing: list[list[Upload]] = [[] for _ in range(self._terms.blocks.servers)]
        update_cpu_s, encrypt_cpu_s = np.zeros(stop - first), np.zeros(stop - first)
        upload_bytes = np.zeros(stop - first, np.int64)
        waiting = list[list[Upload]]()
        for begin, end in self._groups(first, stop, chosen):
            started = cpu_clock()
            added_up = self._users.update(begin, end, self._items, self._terms, self._round)
            update_cpu_s[begin - first : end - first] = self._shared(begin, end, cpu_clock() - started)
            started = cpu_clock()
            uploads = self._users.uploads(
                begin, end, self._round, added_up, self._key, self._terms, self._ledger.heads
            )
            encrypt_cpu_s[begin - first : end - first] = self._shared(begin, end, cpu_clock() - started)
            sizes = [sum(piece.nbytes for piece in pieces) for pieces in uploads]
            upload_bytes[begin - first : end - first] = sizes
            arriving = [
                pieces for user, pieces in enumerate(uploads, start=begin) if fates[user - first] != DROPPED
            ]
            if not combine:
                for pieces in arriving:
                    for queue, piece in zip(outgoing, pieces, strict=True):
                        queue.append(piece)
                continue
            waiting += arriving
            if self._hosting.together:  # what a group has made is still in a cache
                self._combining.receive(call, waiting, messages)
                waiting.clear()
        if combine:
            self._combining.receive(call, waiting, messages)
        if not self._terms.census(self._round):
            update_cpu_s += self._solve_cpu_s[first:stop]
        costs = self._costs(first, stop, chosen, update_cpu_s, encrypt_cpu_s, upload_bytes)
        if call == len(self._calls[self._layout.count]) - 2 > _MANY_CALLS:
            give_back_freed_memory()  # what opens and closes a round needs some elsewhere
        return (*outgoing, costs, self._combining.receipt(call) if combine else NOTHING)

    def replay(self, fates: Fates) -> None:
        """Move the vectors of all who took part in the open round as they did then; nothing is uploaded."""
        work = self._work(self._layout)
        for begin, end in runs(fates != ABSENT):
            for first, stop in pairs(cut(work[begin:end], _CACHE_RATINGS) + begin):
                self._users.update(first, stop, self._items, self._terms, self._round)

    def partial_sums(self, calls: int) -> tuple[Any, ...]:
        """What the combiners have added up in this round, for each server, of how many users, and the CPU
        seconds that adding up the last of it took. calls: as of :meth:`Combining.sums`."""
        started = cpu_clock()
        sums = self._combining.sums(calls)
        return (*_counted(sums), cpu_clock() - started)

    def joined_sums(self, calls: int, messages: int, *values: Any) -> tuple[Any, ...]:
        """The same with what other actors of this node have added up: one sum leaves it for each server.

        values: so many messages of the round, then the others' partial sums for each server, actor by actor.
        """
        return _counted(self._combining.joined(calls, values[:messages], values[messages:]))

    def save(self, part: Part, round_number: int) -> str:
        """Write the users as they were when the open round opened; returns the file's digest."""
        if round_number != self._round:
            raise CheckpointError(f"{part.path}: round {round_number} is not the open one, {self._round} is")
        return user_files.save(part, self._users, self._ledger, round_number)

    def items_in_the_clear(self) -> Floats:
        """V of the open round, as any user sees it: what a curious one would keep."""
        if self._open is None:
            raise FedMFError("no round is open")
        return self._open[0]

    def decrypt_for_server(self, members: int, *received: Sequence[Upload]) -> list[ClearUpload]:
        """What a user and so many members of a committee do with other users' uploads, for the servers."""
        return read_uploads(received, self._key, self._terms, members)

    def ping(self) -> int:
        """Answers, if it lives, with the number of its process."""
        return os.getpid()

    @property
    def _items(self) -> Items:
        """What users read from the matrix of the open round."""
        if self._open is None:
            raise FedMFError("no round is open")
        return self._open[1]

    def _groups(self, first: int, stop: int, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """The chosen ones of a contiguous range of users, in contiguous groups that are worked on at once."""
        work = self._work(self._layout)
        for begin, end in runs(chosen):
            if self._hosting.together:
                counts = work[first + begin : first + end]
                yield from pairs(cut(counts, _CACHE_RATINGS) + first + begin)
            else:
                # One at a time: on a device of its own, too, an update comes between other work.
                yield from ((at, at + 1) for at in range(first + begin, first + end))

    def _shared(self, begin: int, end: int, seconds: float) -> Floats:
        """What each of some users is charged of the time they took together: its share by ratings."""
        counts = self._users.rating_counts[begin:end]
        return seconds * (counts / counts.sum() if counts.any() else np.full(end - begin, 1 / (end - begin)))


def _counted(sums: Sequence[PartialSum]) -> tuple[Any, ...]:
    """Sums for each server, and of how many users they are."""
    return (*sums, len(sums[0].user_ids) if sums else 0)
