"""What a round costs at given unit costs, applied to the layout of a scenario.

Calibrated runs charge users and server by a tariff, and estimates use the same.
:mod:`fedmf_ray.costs.unit_costs` measures unit costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import UserCosts
from fedmf_ray.protocol.blocks import Blocks

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


@dataclass(frozen=True)
class UnitCosts:
    """CPU seconds of this machine for one scheme, row of columns and update rule.

    decrypt, publish: the item matrix, by its pieces (ciphertexts, or values of schemes that have none).
    encrypt, receive: one upload, by its pieces. update: one user, by its ratings. credit: checking the tags
    of a round, by the users that were credited. Tags are part of the others.
    """

    decrypt: Line
    update: Line
    encrypt: Line
    receive: Line
    publish: Line
    credit: Line

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

    blocks: how rows are cut. pieces, block_bytes: of one block. tag_bytes: of the tag of an upload, and of
    the matrix, for each server. asked: users in a round.
    """

    unit: UnitCosts
    blocks: Blocks
    pieces: int
    block_bytes: int
    tag_bytes: int
    asked: int

    def users(
        self, user_ids: Integers, ratings: Integers, upload_rows: Integers, upload_blocks: Integers
    ) -> UserCosts:
        """Costs of users with so many training ratings who upload so many rows in so many blocks, all
        (users,) int64."""
        users, whole, tags = len(user_ids), self.blocks.count, self.blocks.servers * self.tag_bytes
        decrypt_cpu_s = self.unit.decrypt(whole * self.pieces) + self.unit.credit(self.asked)
        return UserCosts(
            user_id=user_ids,
            decrypt_cpu_s=np.full(users, decrypt_cpu_s),
            update_cpu_s=self.unit.update(ratings),
            encrypt_cpu_s=self.unit.encrypt(upload_blocks * self.pieces),
            download_bytes=np.full(users, whole * self.block_bytes + tags),
            upload_bytes=upload_blocks * (self.block_bytes + 8) + tags,  # a block's number is an int64
            upload_rows=upload_rows,
            upload_blocks=upload_blocks,
        )

    def receive_cpu_s(self, upload_blocks: Integers) -> float:
        """What the server is charged for adding these users' uploads."""
        return float(self.unit.receive(upload_blocks * self.pieces).sum())

    @property
    def publish_cpu_s(self) -> float:
        """What the server is charged for the matrix that opens the next round."""
        return float(self.unit.publish(self.blocks.count * self.pieces))
