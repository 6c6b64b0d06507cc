"""A scheme that everybody can read, and that claims nothing: integers times an odd number, modulo 2**64."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedmf_ray.schemes import Aggregate, Evaluator, KeyHolder, Scheme


@dataclass(frozen=True)
class Scaled(Scheme):
    name: ClassVar[str] = "scaled"

    factor: int = 3
    """An odd number: sums of multiples are multiples of sums."""

    def __post_init__(self):
        if self.factor % 2 == 0:
            raise ValueError(f"factor: {self.factor} should be odd")

    def sides(self, shape, secrets=None):
        return Adder(), Holder(self.factor)

    def block_bytes(self, shape):
        return 8 * shape.columns


@dataclass(frozen=True)
class Holder(KeyHolder):
    factor: int

    def encrypt(self, integers, numbers=()):
        return as_wire(integers.astype(np.uint64) * np.uint64(self.factor % 2**64))

    def decrypt(self, wire):
        return (as_words(wire) * np.uint64(pow(self.factor, -1, 2**64))).astype(np.int64)


class Adder(Evaluator):
    def aggregate(self, wire):
        return Sum(as_words(wire).copy())

    def zeros(self, shape):
        return np.zeros(shape, np.uint8)

    def negate(self, wire):
        return as_wire(np.uint64(0) - as_words(wire))


@dataclass
class Sum(Aggregate):
    words: np.ndarray

    def add(self, rows, wire):
        self.words[rows] += as_words(wire)

    def wire(self):
        return as_wire(self.words.copy())


def as_wire(words):
    return words.astype("<u8").view(np.uint8).reshape(*words.shape, 8)


def as_words(wire):
    return np.ascontiguousarray(wire).view("<u8")[..., 0]
