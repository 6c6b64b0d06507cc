"""When a run is saved, which files belong together, and which checkpoints are complete.

    <folder>/users/key            the key pair
    <folder>/users/<round>-<k>    vectors and decoys of the users of actor k
    <folder>/server/<round>-<s>   the encrypted item matrix of server s
    <folder>/<round>              the list of these, written last: a checkpoint without it does not count

What is private is written and read by the users' processes alone; this module only names files.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_state_path

from fedmf_ray.storage.checkpoint_files import CheckpointError, write_atomically

_KEPT = 2
_SHARE = 25
"""``auto`` spends at most one part in so many of the time of a run on checkpoints."""

_LONGEST_GAP = 64
"""Rounds after which ``auto`` saves in any case: the matrices in between are kept in memory."""


def state_folder() -> Path:
    """Where checkpoints go if the scenario does not say: FEDMF_STATE, or the user's state folder."""
    if chosen := os.environ.get("FEDMF_STATE"):
        return Path(chosen).expanduser().absolute()
    return user_state_path("fedmf-ray", appauthor=False)


@dataclass(frozen=True)
class Checkpoint:
    """The state at the opening of a round.

    groups: first and last position (exclusive) of the users in each file of users. servers: how many
    files of the item matrix.
    """

    round: int
    groups: list[tuple[int, int]]
    servers: int


class Checkpoints:
    """The checkpoints of one run. every: rounds, or ``auto``.

    written, wall_s: how many since the run started or went on, and what they took.
    """

    def __init__(self, folder: Path, every: int | Literal["auto"]) -> None:
        self.folder = folder
        self._every = every
        self.written, self.wall_s = 0, 0.0
        self._last_round = -1
        self._started = time.monotonic()

    @property
    def key_path(self) -> Path:
        return self.folder / "users" / "key"

    def users_path(self, round_number: int, group: int) -> Path:
        return self.folder / "users" / f"{round_number:08}-{group:05}"

    def items_path(self, round_number: int, server: int) -> Path:
        return self.folder / "server" / f"{round_number:08}-{server:05}"

    def due(self, round_number: int, last: bool) -> bool:
        """Whether to save at the opening of a round; last: no round follows."""
        if last or self._last_round < 0:
            return True
        gap = round_number - self._last_round
        if self._every != "auto":
            return gap >= self._every
        # The clock of this is monotonic: the wall clock may jump. The next one will cost about the mean.
        with_next_s = self.wall_s * (self.written + 1) / max(1, self.written)
        return gap >= _LONGEST_GAP or time.monotonic() - self._started >= _SHARE * with_next_s

    def commit(self, checkpoint: Checkpoint, cost_s: float) -> None:
        """Make a checkpoint count whose files are all written; older ones but one are removed."""
        body = json.dumps(asdict(checkpoint))
        write_atomically(self.folder / f"{checkpoint.round:08}", body.encode())
        if not self.written:
            self._started = time.monotonic()  # what came before was set-up, not rounds
        self.written, self.wall_s = self.written + 1, self.wall_s + cost_s
        self._last_round = checkpoint.round
        for old in self._rounds()[:-_KEPT]:
            self._remove(old)

    def readable(self) -> Iterator[Checkpoint]:
        """Those whose list is whole, the newest first. Whether their files are intact shows when they are
        read."""
        for number in reversed(self._rounds()):
            try:
                content = json.loads((self.folder / f"{number:08}").read_bytes())
                groups = [(int(first), int(stop)) for first, stop in content["groups"]]
                if content["round"] == number:
                    yield Checkpoint(number, groups, int(content["servers"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # damaged: the one before it is used

    def resume_at(self, checkpoint: Checkpoint) -> None:
        """Forget what came after a checkpoint that a run goes on from."""
        for number in self._rounds():
            if number > checkpoint.round:
                self._remove(number)
        self._last_round = checkpoint.round

    def clear(self) -> None:
        """Remove all of it, the key too."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rounds(self) -> list[int]:
        try:
            return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return []
            raise CheckpointError(f"{self.folder}: cannot be read: {error.strerror}") from error

    def _remove(self, number: int) -> None:
        """The list is removed first: without it, the files that it named no longer count."""
        (self.folder / f"{number:08}").unlink(missing_ok=True)
        for part in ("users", "server"):
            for path in (self.folder / part).glob(f"{number:08}-*"):
                path.unlink(missing_ok=True)
