"""A scheme whose sums must be opened by a user: integers in the clear, and a server that has to ask."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedmf_ray.protocol.messages import Opening
from fedmf_ray.schemes.plain import Plain, PlainAggregate, PlainEvaluator, PlainKeyHolder


@dataclass(frozen=True)
class Asking(Plain):
    name: ClassVar[str] = "asking"
    opens: ClassVar[bool] = True

    def sides(self, shape, secrets=None):
        return AskingEvaluator(), AskingKeyHolder()


class AskingKeyHolder(PlainKeyHolder):
    def open(self, closed, known=None):
        return [Opening(one.round, one.first, one.sums, None) for one in closed]


class AskingEvaluator(PlainEvaluator):
    def aggregate(self, wire):
        plain = super().aggregate(wire)
        return AskingAggregate(plain._integers)


class AskingAggregate(PlainAggregate):
    opened = None

    def add(self, rows, wire):
        super().add(rows, wire)
        self.opened = None

    def closing(self):
        return self._integers.copy()

    def open(self, opening):
        if not np.array_equal(opening, self._integers):
            raise ValueError("another sum was opened than the one that was closed")
        self.opened = opening

    def wire(self):
        if self.opened is None:
            raise ValueError("published without an opening")
        return super().wire()
