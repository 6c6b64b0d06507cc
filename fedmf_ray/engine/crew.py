"""The processes of a simulation, and how those that die are replaced.

When a round opens, the state of a run is in three places: vectors with the users, the matrix with the
servers, and a checkpoint of some earlier round. From the same vectors and matrices users compute the same
results again. So a user actor that died is restored from its checkpoint and replays the rounds since; the
matrices of those rounds are kept for that. A server that died is restarted from the matrix that opened the
round, and the uploads are sent to it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from fedmf_ray.engine.answers import Hosting, Joined, Report
from fedmf_ray.engine.backends import Backend, Call, Handle, Reference
from fedmf_ray.engine.chair import Chair
from fedmf_ray.engine.enrolment import Enrolment, Newcomer
from fedmf_ray.engine.measured import ranking_of
from fedmf_ray.engine.persistence import Gone, Lost, persist_in_round
from fedmf_ray.engine.server_actor import ServerActor, load_all
from fedmf_ray.engine.shared_check import SharedCheck
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.ranking import Lists, Ranking
from fedmf_ray.planning.participation import Attendance
from fedmf_ray.planning.placement import MOST_READERS
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.checkpoints import Checkpoint, Checkpoints

Events = Callable[..., None]
"""Called with the name of an event and facts about it."""


class Crew:
    """User actors and servers, with the matrices that opened the latest rounds.

    enrolment: how users get keys. chair: of their committee, if there is one. sharing: how
    published tables are checked. users, joined: actors and what
    each said of its users. servers: actors, in order of their ranges. items: by round, references to each
    server's message. round: the one whose matrix is the latest. limit: calls that may be under way."""

    def __init__(
        self,
        plan: Plan,
        hosting: Hosting,
        groups: Sequence[range],
        backend: Backend,
        attendance: Attendance,
        checkpoints: Checkpoints | None,
        recorded: Container[int],
        events: Events,
    ) -> None:
        self.groups, self.backend = groups, backend
        self.limit = plan.scenario.cluster.in_flight or 2 * backend.cpus
        self.users: list[Handle] = []
        self.servers: list[Handle] = []
        self.joined: list[Joined] = []
        self.items: dict[int, list[Reference]] = {}
        self.round = 0
        self.plan, self._hosting, self._attendance = plan, hosting, attendance
        self.checkpoints, self._recorded, self.events = checkpoints, recorded, events
        self._population = plan.population.digest()
        self._saved: Checkpoint | None = None
        self.enrolment = Enrolment(plan, backend, checkpoints.key if checkpoints else None)
        self.chair = Chair(self, plan.scheme.council) if plan.scheme.council else None
        self.sharing = SharedCheck(self, attendance)

    def found(self) -> None:
        """Start a new run: keys, users, and a first matrix that one user encrypts."""
        self._end_all()
        self.users = [self._start_users() for _ in self.groups]
        try:
            self.enrolment.found(self.users[0], "create_keys")
            self._join(self.users[0], range(len(self.users)), ())
        except BaseException:  # no key may be written when its folder has been removed
            self.enrolment.wait()
            raise
        count = self.plan.terms.blocks.servers + 1
        *items, _ = self.backend.call_split(count, self.users[0], "encrypt_initial_items")
        self.items = {0: items}
        self._start_servers()

    def restore(self) -> None:
        """Start from the newest checkpoint that can be read; all processes are ended first.

        Raises :class:`CheckpointError` if there is none.
        """
        self._end_all()
        if self.checkpoints is None:
            raise CheckpointError("no checkpoint to go on from (checkpoints are off)")
        reason: CheckpointError | None = None
        for number in self.checkpoints.rounds():
            try:
                self._restore(self.checkpoints.read(number))
                return
            except CheckpointError as error:
                self.events("checkpoint_unreadable", round=number, reason=str(error))
                reason = error
                self._end_all()
        raise self.checkpoints.none(reason)

    def open(self, round_number: int) -> list[Report]:
        """Users decrypt the matrix that opens a round, and report. Each actor decrypts a part, or all."""
        backend, published = self.backend, self.sharing.published(round_number)
        readers = min(len(self.users), backend.cpus, MOST_READERS)
        if readers == 1 or self.plan.scheme.lightweight:
            parts = published  # nothing to decrypt that would be worth sharing
        else:
            parts = [
                backend.call(self.users[at], "read_share", at, readers, *published) for at in range(readers)
            ]
        calls = (Call(actor, "open_round", (round_number, *parts)) for actor in self.users)
        return [backend.get(done) for _, (done,) in backend.stream(calls, self.limit)]

    def heal(self, round_number: int, published: Sequence[Reference | None] = ()) -> set[int]:
        """Replace dead processes by new ones in the state of the opening of a round; returns the numbers of
        the user actors that are new.

        published: by server, the matrix of the next round if it has published that already.
        Raises :class:`~.persistence.Gone` if the values that a new process needs are gone, too.
        """
        backend = self.backend
        renewed = {at for at, actor in enumerate(self.users) if not backend.alive(actor)}
        fallen = [at for at, actor in enumerate(self.servers) if not backend.alive(actor)]
        self._tell_silent([self.users[at] for at in renewed] + [self.servers[at] for at in fallen])
        if (renewed or fallen) and self._saved is None:
            raise FedMFError(
                "a Ray worker died (most often for lack of memory): raise cluster.users_per_actor, or let "
                "cluster.checkpoint_every keep checkpoints, so that it can be replaced"
            )
        for at in sorted(renewed):
            try:
                self._revive(at, round_number)
            except (Lost, CheckpointError) as error:
                raise Gone(str(error)) from error  # an earlier checkpoint may still be readable
        for at in fallen:
            message = (published[at] if published else None) or self.items[round_number][at]
            backend.end(self.servers[at])
            self.servers[at] = self._start_server(at, message)
        try:
            backend.get([backend.call(self.servers[at], "ping") for at in fallen])
        except Lost as error:  # its matrix, or its side of the keys, was on the machine that died
            raise Gone(str(error)) from error
        for at in fallen:
            self.events("server_died", server=at, round=round_number, action="restarted from its matrix")
        return renewed

    def rank(self, lists: Lists) -> Ranking | None:
        """How good users' lists are; None if users cannot say, which does not end the run."""
        try:
            return persist_in_round(
                lambda: ranking_of(self.backend, self.users, lists), lambda _: self.heal(self.round)
            )
        except (Lost, FedMFError) as error:
            self.events("ranking_failed", round=self.round, reason=str(error))
        return None

    def council(self) -> dict[str, Any]:
        """Who opens rounds together, for ``environment.json``, if anybody does."""
        return {self.plan.scheme.name: self.chair.facts()} if self.chair else {}

    def await_servers(self) -> None:
        """Servers start while users open the first matrix; waiting for them is no part of a checkpoint."""
        self.backend.get([self.backend.call(server, "ping") for server in self.servers])

    def checkpoint(self, round_number: int, last: bool) -> None:
        """Save the opening of a round if it is due. If it cannot be written, the run goes on without it."""
        checkpoints = self.checkpoints
        if checkpoints is not None and checkpoints.vanished():
            reason = f"{checkpoints.folder}: somebody has removed it: the run goes on without checkpoints"
            self.events("checkpoints_gone", round=round_number, reason=reason)
            self._saved = None
        if checkpoints is None or checkpoints.gone:
            self._forget_before(round_number)  # nobody will replay these rounds
            return
        if not self.servers or not checkpoints.due(round_number, last):
            return  # without servers, all processes are being restored: their checkpoint stays the newest
        if self._saved is not None and self._saved.round == round_number:
            return
        try:
            self._save(round_number, checkpoints)
        except CheckpointError as error:
            self.events("checkpoint_failed", round=round_number, reason=str(error))

    def _save(self, round_number: int, checkpoints: Checkpoints) -> None:
        started = time.perf_counter()
        actors, parts = (*self.users, *self.servers), checkpoints.parts(round_number, len(self.users))
        states = (*(round_number for _ in self.users), *self.items[round_number])
        saves = [
            Call(actor, "save", (next(parts), state), at)
            for at, (actor, state) in enumerate(zip(actors, states, strict=True))
        ]
        digests = [""] * len(saves)
        for call, (done,) in self.backend.stream(saves, self.limit):
            digests[call.label] = self.backend.get(done)
        groups = [(group[0], group[-1] + 1) for group in self.groups]
        checkpoint = Checkpoint(round_number, groups, len(self.servers), self._population, digests)
        checkpoints.commit(checkpoint, time.perf_counter() - started)
        self._saved = checkpoint
        self._forget_before(round_number)

    def _forget_before(self, number: int) -> None:
        self.items = {at: kept for at, kept in self.items.items() if at >= number}
        self.sharing.forget(number)

    def _restore(self, checkpoint: Checkpoint) -> None:
        assert self.checkpoints is not None
        self.checkpoints.check_fits(checkpoint, self.plan.terms.blocks.servers, self._population)
        # First what is quickly read, and what every version has written: it says which one.
        number, servers = checkpoint.round, range(checkpoint.servers)
        parts = [self.checkpoints.items(number, at, checkpoint) for at in servers]
        items = load_all(self.backend, parts)
        self.users = [self._start_users() for _ in self.groups]
        self.enrolment.found(self.users[0], "load_keys")
        self._saved = checkpoint
        self._join(self.users[0], range(len(self.users)), (checkpoint,))
        self.items, self.round = {number: items}, number
        self._start_servers()
        self.checkpoints.resume_at(checkpoint)

    def _revive(self, at: int, round_number: int) -> None:
        """Restore a user actor that died from the checkpoint, and replay the rounds that have been opened."""
        assert self._saved is not None
        backend, saved = self.backend, self._saved

        def start() -> None:
            backend.end(self.users[at])
            sponsor = next((actor for actor in self.users if backend.alive(actor)), None)
            if sponsor is None:  # one that only seems dead would be left in a session of its own
                for other in self.users:
                    backend.end(other)
            self.users[at] = self._start_users()
            if sponsor is None:
                sponsor = self.users[at]
                self.enrolment.found(sponsor, "load_keys")
            self._join(sponsor, [at], (saved,))

        persist_in_round(start, lambda _: None)
        actor, group = self.users[at], self.groups[at]
        for number in range(saved.round, round_number + 1):
            if not self.sharing.opened(number):
                break
            backend.get(backend.call(actor, "open_round", number, *self.sharing.published(number)))
            if number < round_number:
                fates = self._attendance.fates(number)[group.start : group.stop]
                backend.get(backend.call(actor, "replay", fates))
        self.events(
            "user_actor_died", actor=at, users=len(group), round=round_number,
            action=f"restarted, restored from round {saved.round}",
        )  # fmt: skip

    def _tell_silent(self, actors: Sequence[Handle]) -> None:
        """Record which of those that count as dead were alive and did nothing."""
        for actor in filter(self.backend.silent, actors):
            role = "users" if actor in self.users else "server"
            at = (self.users if role == "users" else self.servers).index(actor)
            self.events(
                "actor_silent", role=role, actor=at, round=self.round,
                action="ended: it had ended no call within cluster.patience_s",
            )  # fmt: skip

    def _end_all(self) -> None:
        self._tell_silent([*self.users, *self.servers])
        for actor in (*self.users, *self.servers):
            self.backend.end(actor)
        self.users, self.servers = [], []
        self.sharing.forget()

    def _start_users(self) -> Handle:
        return self.backend.start(UserActor, self.plan.terms, self._hosting)

    def _join(self, sponsor: Handle, which: Sequence[int], saved: Sequence[Checkpoint]) -> None:
        """Actors get the key and make their users, as of a checkpoint if there is one."""
        newcomers = []
        for at in which:
            group = self.groups[at]
            files = self.checkpoints.files_of(group, saved) if self.checkpoints else ()
            newcomers.append(Newcomer(self.users[at], group, files))
        answers = self.enrolment.join(sponsor, newcomers)
        if len(answers) == len(self.users):
            self.joined = answers
        if self.chair is not None:
            self.chair.joined(which)

    def _start_servers(self) -> None:
        if self.chair is not None:
            self.chair.renew(self.round, range(len(self.items[self.round])))
        self.servers = [self._start_server(at, message) for at, message in enumerate(self.items[self.round])]

    def _start_server(self, at: int, message: Reference) -> Handle:
        user_ids = np.concatenate([joined.user_ids for joined in self.joined])
        blocks = np.concatenate([joined.blocks[:, at] for joined in self.joined])
        arguments = message, Roster(user_ids, blocks), self._recorded, self.plan.terms.blocks
        return self.backend.start(ServerActor, self.enrolment.evaluator, *arguments)
