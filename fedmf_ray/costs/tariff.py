"""What a round costs at given unit costs, applied to the layout of a scenario.

Calibrated runs charge users and server by a tariff, and estimates use the same.
:mod:`fedmf_ray.costs.unit_costs` measures unit costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import NO_OPENING, OpeningCosts, UserCosts
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.schemes import Scheme

Integers = NDArray[np.int64]


class Line(NamedTuple):
    """CPU seconds of a piece of work of a given size: fixed + each * size."""

    fixed: float
    each: float

    def shared(self, pieces: int) -> Line:
        """The line of one piece, if this is that of several together, by their common size."""
        return Line(self.fixed / pieces, self.each)

    def __call__(self, size: int | Integers) -> NDArray[np.float64]:
        return np.asarray(self.fixed + self.each * np.asarray(size))


NOTHING = Line(0.0, 0.0)


@dataclass(frozen=True)
class Step:
    """All of one kind of work in a round, as a sum that can be done by hand.

    name: of the unit costs. calls: how often it is done. pieces: of all calls together. line: what a call and
    a piece cost.
    """

    name: str
    calls: int
    pieces: int
    line: Line

    @property
    def cpu_s(self) -> float:
        return self.calls * self.line.fixed + self.pieces * self.line.each


@dataclass(frozen=True)
class UnitCosts:
    """CPU seconds of this machine for one scheme, row of columns and update rule.

    decrypt, publish: the item matrix, by its pieces (ciphertexts, or values of schemes that have none).
    encrypt, receive: one upload, by its pieces. update: one user, by its ratings; passing: what more it does
    where a shared table is there that is not always. credit: checking the tags of a round, by the users that
    were credited. reopen: opening the sums of a round, where users must, by the pieces of the item matrix;
    unmask: what each uploaded piece adds to that. Tags are part of the others. open: of decrypt, what opening
    takes, by the pieces that are opened, where checking needs no opening.
    """

    decrypt: Line
    update: Line
    encrypt: Line
    receive: Line
    publish: Line
    credit: Line
    passing: Line = NOTHING
    reopen: Line = NOTHING
    unmask: Line = NOTHING
    open: Line = NOTHING

    @property
    def check(self) -> Line:
        """Reading the item matrix without opening it, by its pieces."""
        return Line(*(max(0.0, all_ - part) for all_, part in zip(self.decrypt, self.open, strict=True)))

    def named(self) -> dict[str, dict[str, float]]:
        """CPU seconds by name of the piece of work: fixed, and per piece or rating."""
        return {name: getattr(self, name)._asdict() for name in self.__dataclass_fields__}

    @classmethod
    def mean(cls, measured: list[UnitCosts]) -> UnitCosts:
        """The average over several CPUs."""
        lines = {
            name: Line(*np.mean([getattr(one, name) for one in measured], axis=0).tolist())
            for name in cls.__dataclass_fields__
        }
        return cls(**lines)


@dataclass(frozen=True)
class Tariff:
    """Unit costs applied to a layout: what each user and the server are charged for a round.

    blocks: how rows are cut. scheme: whose sizes count. asked: users in a round. full_text: whether all
    upload everything.
    """

    unit: UnitCosts
    blocks: Blocks
    scheme: Scheme
    asked: int
    full_text: bool
    rated: bool = False
    """Users open the blocks with rows that they rated, and check the others."""
    read: Blocks | None = None
    """The tables that open the round, where they are not those that users add to in it."""

    def at(self, round_number: int) -> Tariff:
        """Of a round: which shared tables are there may differ."""
        if len(self.blocks.layouts) == 1:
            return self
        return replace(self, blocks=self.blocks.at(round_number), read=self.blocks.opening(round_number))

    @property
    def _matrix(self) -> int:
        """Pieces of the tables that open the round."""
        return (self.read or self.blocks).count * self.pieces

    @property
    def pieces(self) -> int:
        """Of one block."""
        return self.scheme.pieces(self.blocks.shape)

    def users(
        self,
        user_ids: Integers,
        ratings: Integers,
        upload_rows: Integers,
        upload_blocks: Integers,
        rated_blocks: Integers,
    ) -> UserCosts:
        """Costs of users with so many training ratings who upload so many rows in so many blocks, and rated
        rows in so many, all (users,) int64."""
        users, scheme, shape = len(user_ids), self.scheme, self.blocks.shape
        read = _sizes(self.read or self.blocks)
        download_bytes = sum(scheme.published_bytes(shape, size) for size in read)
        overhead = self.blocks.servers * scheme.upload_overhead()
        decrypt_cpu_s = np.full(users, self.read_cpu_s)
        if self.rated:
            unit = self.unit
            decrypt_cpu_s = (
                unit.check(self._matrix) + unit.open(rated_blocks * self.pieces) + unit.credit(self.asked)
            )
        return UserCosts(
            user_id=user_ids,
            decrypt_cpu_s=decrypt_cpu_s,
            update_cpu_s=self.unit.update(ratings) + self._passing(ratings),
            encrypt_cpu_s=self.unit.encrypt(upload_blocks * self.pieces),
            download_bytes=np.full(users, download_bytes),
            # A block's number is an int64.
            upload_bytes=upload_blocks * (scheme.block_bytes(shape) + 8) + overhead,
            upload_rows=upload_rows,
            upload_blocks=upload_blocks,
        )

    @property
    def read_cpu_s(self) -> float:
        """Of all of the item matrix, opened and checked."""
        return float(self.unit.decrypt(self._matrix) + self.unit.credit(self.asked))

    def _passing(self, ratings: Integers) -> NDArray[np.float64]:
        """(users,) seconds for tables that are there in some rounds only."""
        there = any(not table.always for table in self.blocks.present)
        return self.unit.passing(ratings) if there else np.zeros(len(ratings))

    def steps(self, users: int, ratings: int, upload_blocks: int, rated_blocks: int) -> list[Step]:
        """The work of a round of so many users, with so many ratings, uploaded and rated blocks in all: what
        users, the opener and the server are charged together."""
        matrix, uploaded = self.blocks.count * self.pieces, upload_blocks * self.pieces
        opens, passing = (
            int(self.scheme.opens),
            users * any(not table.always for table in self.blocks.present),
        )
        reading = {"decrypt": (users, users * self._matrix)}
        if self.rated:
            reading = {"check": (users, users * self._matrix), "open": (users, rated_blocks * self.pieces)}
        work = reading | {
            "credit": (users, users * self.asked),
            "update": (users, ratings),
            "passing": (passing, ratings if passing else 0),
            "encrypt": (users, uploaded),
            "receive": (users, uploaded),
            "reopen": (opens, opens * matrix),
            "unmask": (opens, opens * uploaded),
            "publish": (1, matrix),
        }
        lines = {name: getattr(self.unit, name) for name in work}
        return [Step(name, *work[name], line) for name, line in lines.items() if any(line) and work[name][0]]

    def receive_cpu_s(self, upload_blocks: Integers) -> float:
        """What the server is charged for adding these users' uploads."""
        return float(self.unit.receive(upload_blocks * self.pieces).sum())

    def server_cpu_s(self, upload_blocks: Integers) -> float:
        """What the server is charged for a round of these users."""
        return self.receive_cpu_s(upload_blocks) + self.publish_cpu_s

    def opening(self, upload_blocks: Integers) -> OpeningCosts:
        """What the user who opens the sums of these users' uploads is charged."""
        if not self.scheme.opens:
            return NO_OPENING
        uploaded, sizes = int(upload_blocks.sum()), _sizes(self.blocks)
        cpu_s = self.unit.reopen(self.blocks.count * self.pieces) + self.unit.unmask(uploaded * self.pieces)
        traffic = [
            self.scheme.opening_bytes(self.blocks.shape, size, 0, len(upload_blocks), self.full_text)
            for size in sizes
        ]
        down, up = (sum(bytes_) for bytes_ in zip(*traffic, strict=True))
        if not self.full_text:  # the lists of single rows do not depend on which server has them
            none, all_ = (
                self.scheme.opening_bytes(self.blocks.shape, 0, count, 0, False).down
                for count in (0, uploaded)
            )
            down += all_ - none
        return OpeningCosts(float(cpu_s), down, up, len(sizes))

    @property
    def publish_cpu_s(self) -> float:
        """What the server is charged for the matrix that opens the next round."""
        return float(self.unit.publish(self.blocks.count * self.pieces))


def _sizes(layout: Blocks) -> list[int]:
    """Blocks of each server."""
    return [stop - first for first, stop in layout.ranges]
