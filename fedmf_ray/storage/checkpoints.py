"""When a run is saved, which files belong together, and which checkpoints are complete.

    <folder>/users/key            the key pair
    <folder>/users/<round>-<k>    vectors and decoys of the users of actor k
    <folder>/server/<round>-<s>   the encrypted item matrix of server s
    <folder>/<round>              the list of these, written last: a checkpoint without it does not count

What is private is written and read by the users' processes alone; this module only names files. A list has
the digests of its files, how the run's tables began, and the scenario: it is restored into the same only.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_state_path

from fedmf_ray.errors import FedMFError
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import CheckpointError, Part
from fedmf_ray.storage.ownership import remove, run_name
from fedmf_ray.storage.run_tables import Mark, RunTables

_KEPT = 2
_SHARE = 25
"""``auto`` spends at most one part in so many of the time of a run on checkpoints."""

_LONGEST_GAP = 64
"""Rounds after which ``auto`` saves in any case: the matrices in between are kept in memory."""


def state_folder() -> Path:
    """Where checkpoints go if the scenario does not say: FEDMF_STATE, or the user's state folder."""
    if chosen := os.environ.get("FEDMF_STATE"):
        try:
            return Path(chosen).expanduser().absolute()
        except RuntimeError:
            raise FedMFError(
                f"FEDMF_STATE: {chosen}: nobody has this name: set it to an absolute path"
            ) from None
    return user_state_path("fedmf-ray", appauthor=False)


@dataclass(frozen=True)
class Checkpoint:
    """The state at the opening of a round.

    groups: first and last position (exclusive) of the users in each file of users. servers: how many
    files of the item matrix. population: a digest of who the users and what the items are. digests: of the
    files of users, then of those of servers. settings: what the scenario says, by dotted key. tables: how the
    run's tables were, if it has some. setup: what there was to say of the set-up, if it was over.
    """

    round: int
    groups: list[tuple[int, int]]
    servers: int
    population: str = ""
    digests: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    tables: Mark = field(default_factory=dict)
    setup: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one run. every: rounds, or ``auto``.

    tables: of the run, which are synced before a checkpoint counts. settings: what the scenario says.
    written, wall_s: how many since the run started or went on, and what they took. setup: what there is to
    say of the set-up. resumed: what the run goes on from, if it does. gone: somebody has removed them.
    """

    def __init__(
        self,
        folder: Path,
        every: int | Literal["auto"],
        tables: RunTables | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self._every, self._tables, self._settings = every, tables, settings or {}
        self.written, self.wall_s = 0, 0.0
        self.setup: dict[str, Any] = {}
        self.resumed: Checkpoint | None = None
        self._last_round = -1
        self._started = time.monotonic()
        self.gone = False

    @property
    def key_path(self) -> Path:
        return self.folder / "users" / "key"

    def users_path(self, round_number: int, group: int) -> Path:
        return self.folder / "users" / f"{round_number:08}-{group:05}"

    def items_path(self, round_number: int, server: int) -> Path:
        return self.folder / "server" / f"{round_number:08}-{server:05}"

    @property
    def key(self) -> Part:
        return Part(self.key_path, f"{run_name(self.folder)} key")

    def users(self, round_number: int, group: int, of: Checkpoint | None = None) -> Part:
        """The file of the users of an actor; of: the checkpoint that it must belong to."""
        digest = of.digests[group] if of else ""
        label = f"{run_name(self.folder)} round {round_number} users {group}"
        return Part(self.users_path(round_number, group), label, digest)

    def files_of(self, group: range, saved: Sequence[Checkpoint]) -> list[Part]:
        """The files of checkpoints that hold users at these positions, who may have been grouped
        differently."""
        return [
            self.users(checkpoint.round, number, checkpoint)
            for checkpoint in saved
            for number, (first, stop) in enumerate(checkpoint.groups)
            if first < group.stop and stop > group.start
        ]

    def check_fits(self, checkpoint: Checkpoint, servers: int, population: str) -> None:
        """Raise :class:`FedMFError` for one of other servers, or of other users or items."""
        if checkpoint.servers != servers:
            raise FedMFError(
                f"cluster.server_shards: the run was saved with {checkpoint.servers}, go on with as many"
            )
        if checkpoint.population != population:
            raise FedMFError(
                f"{self.folder}: the ratings have changed since it was written: it holds other users or "
                "items than the scenario"
            )

    def items(self, round_number: int, server: int, of: Checkpoint | None = None) -> Part:
        """The file of a server; of: the checkpoint that it must belong to."""
        digest = of.digests[len(of.groups) + server] if of else ""
        label = f"{run_name(self.folder)} round {round_number} server {server}"
        return Part(self.items_path(round_number, server), label, digest)

    def parts(self, round_number: int, groups: int) -> Iterator[Part]:
        """The files of a round that is saved: of so many actors of users, then of servers without end."""
        yield from (self.users(round_number, at) for at in range(groups))
        yield from (self.items(round_number, at) for at in itertools.count())

    def due(self, round_number: int, last: bool) -> bool:
        """Whether to save at the opening of a round; last: no round follows."""
        if self.gone:
            return False
        if last or self._last_round < 0:
            return True
        gap = round_number - self._last_round
        if self._every != "auto":
            return gap >= self._every
        # The clock of this is monotonic: the wall clock may jump. The next one will cost about the mean.
        with_next_s = self.wall_s * (self.written + 1) / max(1, self.written)
        return gap >= _LONGEST_GAP or time.monotonic() - self._started >= _SHARE * with_next_s

    def vanished(self) -> bool:
        """Whether somebody has removed what was written: true once, and nothing is written after that."""
        if self.gone or not (self.written or self.resumed) or self.folder.is_dir():
            return False
        self.gone = True
        return True

    def commit(self, checkpoint: Checkpoint, cost_s: float) -> None:
        """Make a checkpoint count whose files are all written; older ones but one are removed.

        Raises :class:`CheckpointError` if it cannot be written, or rows of earlier rounds cannot."""
        started = time.perf_counter()
        number, content = checkpoint.round, {**asdict(checkpoint), "settings": self._settings}
        if self._tables is not None:
            content |= {"tables": self._tables.mark(number), "setup": self.setup}
            self._tables.sync()
        checkpoint_files.write(self._list(number), json.dumps(content).encode())
        if not self.written:
            self._started = time.monotonic()  # what came before was set-up, not rounds
        cost_s += time.perf_counter() - started
        self.written, self.wall_s = self.written + 1, self.wall_s + cost_s
        self._last_round = number
        for old in self.rounds()[_KEPT:]:
            self._remove(old)
        if self._tables is not None:
            self._tables.forget(min(self.rounds(), default=number))

    def rounds(self) -> list[int]:
        """The numbers of all that there are, the newest first."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return []
            raise CheckpointError(f"{self.folder}: cannot be read: {error.strerror}") from error
        return sorted((int(name) for name in names if re.fullmatch("[0-9]+", name)), reverse=True)

    def read(self, number: int) -> Checkpoint:
        """One of them. Raises :class:`CheckpointError` if its list is damaged, or the run's tables do not
        begin as it says. Whether its files are intact shows when they are read."""
        part = self._list(number)
        try:
            content = json.loads(checkpoint_files.read(part))
            groups = [(int(first), int(stop)) for first, stop in content.pop("groups")]
            checkpoint = Checkpoint(groups=groups, **content)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{part.path}: is damaged: {error}") from error
        if self._tables is not None:
            self._tables.check(checkpoint.tables)
        return checkpoint

    def readable(self) -> Iterator[Checkpoint]:
        """Those whose list is whole, the newest first."""
        for number in self.rounds():
            try:
                yield self.read(number)
            except CheckpointError:
                continue

    def newest(self) -> Checkpoint:
        """Raises :class:`CheckpointError`, with the reason for the oldest, if none can be read."""
        reason: CheckpointError | None = None
        for number in self.rounds():
            try:
                return self.read(number)
            except CheckpointError as error:
                reason = error
        raise self.none(reason)

    def none(self, reason: CheckpointError | None) -> CheckpointError:
        """The error that there is none, and why."""
        return CheckpointError(
            f"no checkpoint to go on from ({self.folder})" + (f": {reason}" if reason else "")
        )

    def resume_at(self, checkpoint: Checkpoint) -> None:
        """Forget what came after a checkpoint that a run goes on from."""
        for number in self.rounds():
            if number > checkpoint.round:
                self._remove(number)
        self._last_round, self.resumed = checkpoint.round, checkpoint

    def clear(self) -> None:
        """Remove all of it, the key too."""
        remove(self.folder)

    def _list(self, number: int) -> Part:
        return Part(self.folder / f"{number:08}", f"{run_name(self.folder)} round {number}")

    def _remove(self, number: int) -> None:
        """The list is removed first: without it, the files that it named no longer count."""
        (self.folder / f"{number:08}").unlink(missing_ok=True)
        for part in ("users", "server"):
            for path in (self.folder / part).glob(f"{number:08}-*"):
                path.unlink(missing_ok=True)
