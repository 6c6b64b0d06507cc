"""Which seconds are which: what users and server are charged, and the time a deployment would take.

*Measured*: every ``*_cpu_s`` is thread CPU time of that piece of work in this process, so other work on
the core does not inflate it. *Charged*: in a calibrated run the same columns are unit costs times work
(:mod:`~fedmf_ray.costs.unit_costs`); *estimated*: so they are where nothing ran at all. ``basis``
says which of the three a row is. *Derived*: network seconds are counted bytes over the scenario's
bandwidth plus latency, and ``protocol_s`` of a round is the slowest user (download + decrypt + update +
encrypt + upload, on its own device) plus the server's CPU time, plus ``open_s`` where a user must open the
sums (download + open + upload, on its own device), plus ``seal_s`` where users share the check of what is
published (the slowest of each step, likewise): what one device per user would take.
``wall_s`` is what this simulation took and appears beside it, never in it.

Work that the simulation does once for several users is charged in full to each: all users of an actor
are charged the one decryption of the item matrix.

Updates are measured user by user in encrypted runs, where they are a small part of a round. Under a
lightweight scheme, where they are all of it, the users of a block are updated together, several times faster,
and each is charged its share by ratings: less than a device of its own would need.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray import threads

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MEASURED, CHARGED, ESTIMATED = "measured", "charged", "estimated"
"""What ``basis`` says of the seconds in a row."""

SLOWEST = ("download_s", "decrypt_s", "update_s", "encrypt_s", "upload_s")
"""The parts of a user's round, in order; ``rounds.csv`` has those of the slowest user."""

cpu_clock = threads.cpu_clock
"""The clock of everything that is charged."""


class UserCosts(NamedTuple):
    """What some users spend in one round: a column each, an entry per user.

    Seconds of CPU on the machine where they were measured, bytes on the wire. upload_rows: item rows, rated
    ones and decoys. upload_blocks: what these rows share ciphertexts in.
    """

    user_id: Integers
    decrypt_cpu_s: Floats
    update_cpu_s: Floats
    encrypt_cpu_s: Floats
    download_bytes: Integers
    upload_bytes: Integers
    upload_rows: Integers
    upload_blocks: Integers

    @classmethod
    def join(cls, costs: Iterable[UserCosts]) -> UserCosts:
        """All of them as one, in order of user id."""
        columns = [np.concatenate(column) for column in zip(*costs, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    @property
    def cpu_s(self) -> Floats:
        return self.decrypt_cpu_s + self.update_cpu_s + self.encrypt_cpu_s


class OpeningCosts(NamedTuple):
    """What opening the sums of a round, or checking and sealing tables, took the user who did: CPU seconds,
    bytes down and up, and messages each way (one for each server)."""

    cpu_s: float = 0.0
    download_bytes: int = 0
    upload_bytes: int = 0
    messages: int = 0


NO_OPENING = OpeningCosts()

Step = list[tuple[int, OpeningCosts]]
"""What a step of an opening took: the position of each user that was asked, and its costs."""


class Taken(NamedTuple):
    """What several steps took, and the seconds of the slowest user of each, on its own device."""

    costs: OpeningCosts = NO_OPENING
    seconds: float = 0.0


NOTHING_TAKEN = Taken()


class RoundCosts:
    """Adds up the costs of a round, any number of users at a time."""

    def __init__(self) -> None:
        self._slowest: Floats = np.zeros(len(SLOWEST))
        self._peaks = {"user_cpu_s_max": 0.0, "network_s_max": 0.0}
        self._sums: dict[str, float] = {}
        self._bytes = {"upload_bytes_total": 0, "download_bytes_total": 0}
        self._users = 0

    def add(self, costs: UserCosts, parts: Floats, in_time: NDArray[np.bool_] | None = None) -> None:
        """parts: (5, users), what each of ``SLOWEST`` takes on the users' own devices.

        in_time: whose uploads the server waits for; everybody's if not given.
        """
        awaited = parts if in_time is None else parts[:, in_time]
        if awaited.size:
            slowest = awaited[:, awaited.sum(axis=0).argmax()]
            if slowest.sum() > self._slowest.sum():
                self._slowest = slowest
        for column, values in (("user_cpu_s_max", costs.cpu_s), ("network_s_max", parts[0] + parts[-1])):
            self._peaks[column] = max(self._peaks[column], float(values.max()))
        for phase in ("decrypt", "update", "encrypt"):
            total = float(getattr(costs, f"{phase}_cpu_s").sum())
            self._sums[phase] = self._sums.get(phase, 0.0) + total
        self._bytes["upload_bytes_total"] += int(costs.upload_bytes.sum())
        self._bytes["download_bytes_total"] += int(costs.download_bytes.sum())
        self._users += len(costs.user_id)

    @property
    def user_cpu_s(self) -> float:
        """CPU seconds of all users together."""
        return sum(self._sums.values())

    def row(
        self,
        server_cpu_s: float,
        basis: str,
        opening: Taken = NOTHING_TAKEN,
        sealing: Taken = NOTHING_TAKEN,
    ) -> dict[str, Any]:
        """The cost columns of ``rounds.csv`` (see the module's text for what each second means)."""
        parts = dict(zip(SLOWEST, self._slowest.tolist(), strict=True))
        return {
            "basis": basis,
            "protocol_s": sum(parts.values()) + server_cpu_s + opening.seconds + sealing.seconds,
            **{f"slowest_{part}": seconds for part, seconds in parts.items()},
            "server_cpu_s": server_cpu_s,
            **_columns("open", opening),
            **_columns("seal", sealing),
            "user_cpu_s_max": self._peaks["user_cpu_s_max"],
            **{f"user_{phase}_cpu_s_mean": total / self._users for phase, total in self._sums.items()},
            "network_s_max": self._peaks["network_s_max"],
            **self._bytes,
            "users": self._users,
        }


def _columns(name: str, taken: Taken) -> dict[str, Any]:
    costs = taken.costs
    return {
        f"{name}_s": taken.seconds,
        f"{name}_cpu_s": costs.cpu_s,
        f"{name}_bytes": costs.download_bytes + costs.upload_bytes,
    }


def user_columns(
    round_number: int, basis: str, costs: UserCosts, slowdowns: Floats, parts: Floats
) -> dict[str, NDArray[Any]]:
    """Columns of ``users.csv.gz``, an entry per user: its costs, and the seconds of its own device."""
    users = len(costs.user_id)
    return {
        "round": np.full(users, round_number),
        "basis": np.full(users, basis),
        **costs._asdict(),
        "slowdown": slowdowns,
        "network_s": parts[0] + parts[-1],
        "device_s": parts.sum(axis=0),
    }
