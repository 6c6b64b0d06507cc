"""A run as its users see it: V, their vectors, what they would rate, read from their own checkpoint.

Does what the users' own processes do: it restores them from the checkpoint on the users' side, with the key
that lies beside it, and decrypts and checks the servers' matrix, once. Neither a server nor the run folder
has what this takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.answers import Hosting, Reading
from fedmf_ray.engine.keeper import Sides
from fedmf_ray.engine.server_actor import load_items
from fedmf_ray.engine.state import check_run_folder, check_state, checkpoints_of
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.blocks import inner
from fedmf_ray.learning.items import Items, user_side
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes import IN_THE_CLEAR
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.checkpoints import Checkpoint, Checkpoints
from fedmf_ray.storage.run_tables import RunTables

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_ALONE = Hosting(together=False, combine=False)
_AT_ONCE = 1 << 16
"""Predictions made at once: their factors are copied."""


class _Host(UserActor):
    """A user actor in this process, which shows what it has. For whoever may read as its users."""

    @property
    def users(self) -> Users:
        return self._users

    @property
    def items(self) -> Items:
        return self._items


class UsersSide:
    """What the users of a run know when its newest checkpoint was written.

    Users and items are named by positions: of ``plan.population.user_ids``, and of ``item_ids``, which is the
    row of V. A table of ratings is in this process anyway, so all of its users are restored at once; of users
    who make their own ratings, those that are asked for.
    """

    def __init__(self, path: Path) -> None:
        """Raises :class:`FedMFError` if the folder is no run's, has been edited, or left no checkpoint."""
        self.path = path.expanduser().absolute()
        check_run_folder(self.path)
        self.scenario: Scenario = scenario_file.load(self.path / "scenario.yaml")
        if self.scenario.model.central:
            raise FedMFError(
                f"{self.path}: {self.scenario.model.algorithm} is a central baseline, which keeps no "
                "checkpoint: only its errors are left, in rounds.csv; run model.algorithm fedmf"
            )
        checkpoints = checkpoints_of(self.path, self.scenario, RunTables(self.path))
        if checkpoints is None:
            raise FedMFError(
                f"{self.path}: ran without checkpoints (cluster.checkpoint_every: never): nothing is left of "
                "its users"
            )
        check_state(checkpoints, self.path, self.scenario)
        self._checkpoints: Checkpoints = checkpoints
        self.plan = Plan.of(self.scenario)
        self._checkpoint: Checkpoint | None = None
        self._sides: Sides | None = None
        self._reading: Reading | None = None
        self._host: _Host | None = None

    @property
    def mean(self) -> float:
        """What all ratings are relative to."""
        return self.plan.terms.setting.steps.mean

    @property
    def round(self) -> int:
        """How many rounds are in what is read here."""
        self._hosting(np.zeros(1, np.int64))
        assert self._checkpoint is not None
        return self._checkpoint.round

    def items(self) -> Items:
        """V, and what else users read from it."""
        return self._hosting(np.zeros(1, np.int64)).items

    def ratings_of(self, position: int) -> UserRatings:
        """What a user keeps to itself: its ratings, by row of V."""
        ratings = self.plan.population.ratings
        if self.plan.population.slices is not None:
            return self.plan.population.slices[position]
        return ratings.user(self.plan.population.user_ids[position])  # type: ignore[union-attr]

    @property
    def titles(self) -> Mapping[int, str]:
        """Title by item, where the source of the ratings has some."""
        return self.plan.population.names.titles

    def title(self, row: int) -> str:
        """What an item is called: its title, or ``item ID``."""
        return self.plan.population.names.title(int(self.plan.population.item_ids[row]))

    def vectors(self, positions: Integers) -> Floats:
        """(n, factors) u_i, or with biases (n, factors + 1): u_i, b_i."""
        host = self._hosting(positions)
        return host.users.vectors[self._places(host, positions)]

    def expected(self, positions: Integers, rows: Integers) -> Floats:
        """(n,) the ratings that users are expected to give to items, pair by pair; not cut to the scale."""
        return self._less(positions, rows) + self.mean

    def rmse(self, positions: Integers, rows: Integers, ratings: Floats) -> float:
        """Of given ratings, pair by pair, in whatever order.

        Of exactly the held-out ratings it has the bits of ``test_rmse`` in ``rounds.csv``: users add up their
        errors in the order of their own test sets.
        """
        errors = (ratings - self.mean) - self._less(positions, rows)
        order, starts = self._as_users_do(positions, rows)
        each = np.split(errors[order] ** 2, starts[1:])
        return math.sqrt(math.fsum(float(np.add.reduce(squared)) for squared in each) / len(errors))

    def recommended(self, position: int, count: int) -> tuple[Integers, Floats]:
        """What a user would be shown (:meth:`fedmf_ray.protocol.user.Users.recommend`)."""
        host = self._hosting(np.array([position]))
        return host.recommend(self._user_id(position), count, self.scenario.metrics.popularity)

    def recommended_untrained(self, position: int, count: int) -> tuple[Integers, Floats]:
        """The same before the first round. What everybody starts from is no secret: in the clear it is the
        same."""
        terms = self.plan.terms
        host = _Host(terms, _ALONE)
        host.set_up([self.ratings_of(position)], sides=IN_THE_CLEAR.sides(terms.blocks.shape))
        *messages, _ = host.encrypt_initial_items()
        host.open_round(0, *messages)
        return host.recommend(self._user_id(position), count, self.scenario.metrics.popularity)

    def _user_id(self, position: int) -> int:
        return int(self.plan.population.user_ids[position])

    def _less(self, positions: Integers, rows: Integers) -> Floats:
        """(n,) expected ratings less the mean, with the bits that they have on the user's own device."""
        found = np.empty(len(rows))
        if not len(rows):
            return found
        host = self._hosting(positions)
        places = self._places(host, positions)
        users = user_side(host.users.vectors, self.plan.terms.setting.biases)
        for first in range(0, len(rows), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            found[some] = inner(users[places[some]], host.items.vectors[rows[some]])
        terms = self.plan.terms
        if terms.rule.corrects(host.items):
            for at in np.unique(places).tolist():
                mine, block = places == at, host.users.train.part(at, at + 1)
                vector = host.users.vectors[at]
                found[mine] += terms.rule.corrections(vector, host.items, block, rows[mine], terms.setting)
        return found

    def _as_users_do(self, positions: Integers, rows: Integers) -> tuple[Integers, Integers]:
        """An order by user, within which held-out items come as in its test set and others follow as given;
        and where each user begins in it."""
        rank = np.arange(len(rows)) + self.plan.terms.items.rows
        by_user = np.argsort(positions, kind="stable")
        users, starts = np.unique(positions[by_user], return_index=True)
        for user, mine in zip(users.tolist(), np.split(by_user, starts[1:]), strict=True):
            held_out = self.ratings_of(user).test_items
            if len(held_out):
                sorter = np.argsort(held_out, kind="stable")
                at = sorter[np.searchsorted(held_out, rows[mine], sorter=sorter).clip(0, len(held_out) - 1)]
                rank[mine] = np.where(held_out[at] == rows[mine], at, rank[mine])
        return np.lexsort((rank, positions)), starts

    def _places(self, host: _Host, positions: Integers) -> Integers:
        """Where users are in their host."""
        ids = np.asarray(self.plan.population.user_ids, np.int64)[positions]
        places: Integers = np.searchsorted(host.users.user_ids, ids)
        return places

    def _hosting(self, positions: Integers) -> _Host:
        """A host of at least these users, of the newest checkpoint that can be read."""
        population = self.plan.population
        if population.slices is not None:
            if self._host is not None:
                return self._host
            wanted = np.arange(len(population.slices))
        else:
            wanted = np.unique(positions)
            if self._host is not None:
                here = self._host.users.user_ids
                if np.isin(np.asarray(population.user_ids, np.int64)[wanted], here).all():
                    return self._host
        if self._checkpoint is not None:
            self._host = self._restored(self._checkpoint, wanted)
            return self._host
        reason: CheckpointError | None = None
        for number in self._checkpoints.rounds():
            try:
                checkpoint = self._checkpoints.read(number)
                self._host = self._restored(checkpoint, wanted)
            except CheckpointError as error:
                reason, self._sides, self._reading = error, None, None
                continue
            self._checkpoint = checkpoint
            return self._host
        raise self._checkpoints.none(reason) from reason

    def _restored(self, checkpoint: Checkpoint, wanted: Integers) -> _Host:
        """wanted: increasing positions of users."""
        plan, saved = self.plan, self._checkpoints
        if checkpoint.population != plan.population.digest():
            raise FedMFError(f"{saved.folder}: the ratings have changed since it was written")
        host = _Host(plan.terms, _ALONE)
        if self._sides is None:
            host.load_keys(plan.scheme, plan.terms.blocks.shape, saved.key)
            evaluator, key, _ = host.sides()
            self._sides = evaluator, key  # type: ignore[assignment]  # nothing is sealed within a process
        files = [
            saved.users(checkpoint.round, at, checkpoint)
            for at, (first, stop) in enumerate(checkpoint.groups)
            if np.searchsorted(wanted, first) < np.searchsorted(wanted, stop)
        ]
        host.set_up([self.ratings_of(position) for position in wanted.tolist()], files, self._sides)
        try:
            if self._reading is None:
                servers = range(checkpoint.servers)
                messages = [load_items(saved.items(checkpoint.round, at, checkpoint)) for at in servers]
                self._reading = host.read_share(0, 1, *messages)
            host.open_round(checkpoint.round, self._reading)
        except OverflowError as error:
            raise CheckpointError(f"{saved.folder}: was written with other settings: {error}") from error
        return host
