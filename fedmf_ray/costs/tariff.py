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
from fedmf_ray.protocol.parts import DIGEST_BYTES, SEAL_BYTES, part_count, share_bytes, token_bytes
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
    unmask: what each uploaded piece adds to that. Tags are part of the others.

    Where users read what they rated: open: of decrypt, what opening takes, by pieces. weigh: checking a part
    of the tables, by its pieces. settle: putting parts together, by their number. seal: making or checking
    seals, by pieces.
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
    weigh: Line = NOTHING
    settle: Line = NOTHING
    seal: Line = NOTHING

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
    """Users open the blocks with rows that they rated, and share the check of all."""
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
        read = self.read or self.blocks
        download_bytes = np.full(users, sum(scheme.published_bytes(shape, size) for size in _sizes(read)))
        overhead = self.blocks.servers * scheme.upload_overhead()
        decrypt_cpu_s = np.full(users, self.read_cpu_s)
        if self.rated:
            downloaded = self._downloaded(upload_blocks)
            download_bytes = downloaded * (scheme.block_bytes(shape) + SEAL_BYTES) + self._token_bytes
            pieces = downloaded * self.pieces, rated_blocks * self.pieces
            decrypt_cpu_s = self.unit.seal(pieces[0]) + self.unit.open(pieces[1])
        return UserCosts(
            user_id=user_ids,
            decrypt_cpu_s=decrypt_cpu_s,
            update_cpu_s=self.unit.update(ratings) + self._passing(ratings),
            encrypt_cpu_s=self.unit.encrypt(upload_blocks * self.pieces),
            download_bytes=download_bytes,
            # A block's number is an int64.
            upload_bytes=upload_blocks * (scheme.block_bytes(shape) + 8) + overhead,
            upload_rows=upload_rows,
            upload_blocks=upload_blocks,
        )

    @property
    def read_cpu_s(self) -> float:
        """Of all of the item matrix, opened and checked; or its seals, where others have checked it."""
        if self.rated:
            return float(self.unit.open(self._matrix) + self.unit.seal(self._matrix))
        return float(self.unit.decrypt(self._matrix) + self.unit.credit(self.asked))

    def _downloaded(self, upload_blocks: Integers) -> Integers:
        """(users,) blocks that users read the seals of, who upload so many."""
        read = self.read or self.blocks
        if self.full_text:
            return np.full(len(upload_blocks), read.count)
        return upload_blocks + len(read.shared) - len(self.blocks.shared)

    @property
    def _token_bytes(self) -> int:
        return token_bytes(self.scheme.number_bytes(), self.blocks.servers)

    def rest(self, downloaded: Integers, opened: Integers) -> tuple[Integers, NDArray[np.float64]]:
        """(users,) each: bytes and CPU seconds of reading the blocks that users have not downloaded, and not
        opened, for a list."""
        read = self.read or self.blocks
        closed, missing = (read.count - blocks for blocks in (opened, downloaded))
        cpu_s = missing * self.pieces * self.unit.seal.each + closed * self.pieces * self.unit.open.each
        return missing * (self.scheme.block_bytes(read.shape) + SEAL_BYTES), cpu_s

    def parts(self, users: int) -> int:
        """In how many parts so many users check the tables that open the round."""
        read, scheme = self.read or self.blocks, self.scheme
        return part_count(read, scheme.block_bytes(read.shape), scheme.number_bytes(), users)

    def sealing(self, users: int) -> list[tuple[int, OpeningCosts]]:
        """What so many users who share the check are charged for it: of each step, how many take part, and
        what each is charged. Nothing if they do not share it."""
        if not self.rated:
            return []
        unit, scheme, read = self.unit, self.scheme, self.read or self.blocks
        parts, block_bytes = self.parts(users), scheme.block_bytes(read.shape)
        blocks, share = read.count / parts, share_bytes(scheme.number_bytes())
        pieces, settled = blocks * self.pieces, self._token_bytes + parts * DIGEST_BYTES
        tags = sum(scheme.published_bytes(read.shape, size) - size * block_bytes for size in _sizes(read))
        settling = float(unit.settle(parts) + unit.credit(self.asked))
        weighing, sealing = (line.fixed + line.each * pieces for line in (unit.weigh, unit.seal))
        return [
            (parts, OpeningCosts(weighing, round(blocks * block_bytes), share, 1)),
            (1, OpeningCosts(settling, tags + parts * share, settled, 1)),
            (parts, OpeningCosts(sealing, settled, round(blocks * SEAL_BYTES), 1)),
        ]

    def _passing(self, ratings: Integers) -> NDArray[np.float64]:
        """(users,) seconds for tables that are there in some rounds only."""
        there = any(not table.always for table in self.blocks.present)
        return self.unit.passing(ratings) if there else np.zeros(len(ratings))

    def steps(
        self, users: int, ratings: int, upload_blocks: int, rated_blocks: int, sharing: int
    ) -> list[Step]:
        """The work of a round of so many users, with so many ratings, uploaded and rated blocks in all: what
        users, the opener and the server are charged together. sharing: users who may share the check."""
        matrix, uploaded = self.blocks.count * self.pieces, upload_blocks * self.pieces
        opens, passing = (
            int(self.scheme.opens),
            users * any(not table.always for table in self.blocks.present),
        )
        reading = {"decrypt": (users, users * self._matrix), "credit": (users, users * self.asked)}
        if self.rated:
            parts, read = self.parts(sharing), self.read or self.blocks
            shared = users * (len(read.shared) - len(self.blocks.shared))
            downloaded = users * read.count if self.full_text else upload_blocks + shared
            reading = {
                "weigh": (parts, self._matrix),
                "settle": (1, parts),
                "credit": (1, self.asked),
                "seal": (users + parts, downloaded * self.pieces + self._matrix),
                "open": (users, rated_blocks * self.pieces),
            }
        work = reading | {
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
