"""FedMF on one page, with ``phe`` alone: read this first, and trust the rest because it agrees.

Chai, Wang, Chen, Yang: *Secure Federated Matrix Factorization*, arXiv 1906.05108; docs/quality.md derives the
``ridge`` rule. One process, one ciphertext a number, no packing, no Ray: slow and plain. The tests run it
beside the fast path and ask for the same item matrix to the last bit.

    rng = np.random.default_rng(0)
    users = [(np.array([0, 2]), np.array([4.0, 3.5])), (np.array([1]), np.array([2.0]))]
    U, V = fedmf(users, rng.normal(0, 0.1, (2, 5)), rng.normal(0, 0.1, (3, 5)), rounds=3)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phe import paillier

Floats = NDArray[np.float64]
Ratings = tuple[NDArray[np.int64], Floats]
"""One user's training ratings in timestamp order: (ratings,) item rows and (ratings,) values."""

BITS = 20
"""Factors are encrypted as multiples of 2**-20, the grid of phe's precision=1e-5."""


def fedmf(
    users: Sequence[Ratings],
    user_vectors: Floats,
    item_matrix: Floats,
    *,
    rounds: int,
    rule: str = "sequential",
    part_text: bool = True,
    mean: float = 0.0,
    key_bits: int = 1024,
    **settings: Any,
) -> tuple[Floats, Floats]:
    """Train and return U (users, factors) and V (items, factors), under ridge with a column of biases more.

    settings: of the rule, the fields of its class below. Everybody acts in this one function, so look at who
    touches what: the server's lines use ``public`` only, the users' lines use ``private``.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} is not on this page, which has {', '.join(RULES)}")
    people = [
        RULES[rule](vector.copy(), rows, values - mean, **settings)
        for vector, (rows, values) in zip(user_vectors, users, strict=True)
    ]
    anybody = people[0]
    public, private = paillier.generate_paillier_keypair(n_length=key_bits)  # by the users
    encrypted = encrypt(public, anybody.first_table(item_matrix), anybody.bits)  # what the server keeps

    for _ in range(rounds):
        uploads = []
        for user in people:
            table = decrypt(private, encrypted, user.bits)
            steps = np.zeros_like(table)
            steps[user.rows] = user.learn(table)
            rows = user.rows if part_text else range(len(table))
            uploads.append({j: encrypt(public, steps[j], user.bits) for j in rows})

        for upload in uploads:  # the server only ever adds
            for j, row in upload.items():
                encrypted[j] = encrypted[j] + row

    table = decrypt(private, encrypted, anybody.bits)
    return np.stack([user.vector_under(table) for user in people]), anybody.values(table)


@dataclass
class User(ABC):
    """Keeps its vector and ratings to itself. The table holds V as it is, unless a rule says otherwise."""

    vector: Floats
    rows: NDArray[np.int64]
    ratings: Floats
    reg_user: float = 1e-4
    reg_item: float = 1e-4

    @property
    def bits(self) -> list[int]:
        """Fraction bits of each column of the table."""
        return [BITS] * len(self.vector)

    def first_table(self, item_matrix: Floats) -> Floats:
        return item_matrix

    def values(self, table: Floats) -> Floats:
        """V, and with biases b."""
        return table

    def vector_under(self, table: Floats) -> Floats:
        return self.vector

    @abstractmethod
    def learn(self, table: Floats) -> Floats:
        """Move the own vector; returns what to add to the rows of the items that the user has rated."""


@dataclass
class Sequential(User):
    """As the authors' code: the user vector moves at each rating, then the item's step uses it."""

    learning_rate: float = 1e-3

    def learn(self, table: Floats) -> Floats:
        u, steps = self.vector, np.zeros((len(self.rows), len(self.vector)))
        for at, (v, rating) in enumerate(zip(table[self.rows], self.ratings, strict=True)):
            error = rating - np.sum(u * v)
            u = u - self.learning_rate * (-2 * error * v + 2 * self.reg_user * u)
            steps[at] = self.learning_rate * (2 * error * u - 2 * self.reg_item * v)
        self.vector = u
        return steps


@dataclass
class Batch(User):
    """As the paper's equations 2 to 4: both gradients from the old vectors, all ratings at once."""

    learning_rate: float = 1e-3

    def learn(self, table: Floats) -> Floats:
        u, v = self.vector, table[self.rows]
        errors = (self.ratings - np.sum(u * v, axis=1))[:, None]
        self.vector = u - self.learning_rate * (np.sum(-2 * errors * v, axis=0) + 2 * self.reg_user * u)
        return np.asarray(self.learning_rate * (2 * errors * u - 2 * self.reg_item * v))


@dataclass
class Ridge(User):
    """Users solve for the best (u, b_i) exactly; an item's steps are scaled by the curvature of its loss.

    A row of the table is v | b | L | n: n raters whose |u|**2 add up to L. It does not hold v and b but
    (n + c) / (1 + c) times those, for nobody knows n in the first round: users divide when they read.
    """

    biases: bool = False
    reg_user_bias: float = 1e-4
    reg_item_bias: float = 1e-4
    part: float = 0.0
    joined: bool = False
    """What this user has added to L, and whether to n, of the items that it rated."""

    def __post_init__(self) -> None:
        self.factors = len(self.vector)
        # c: how many raters weigh as much as the regulariser.
        self.prior, self.bias_prior = max(48.0, self.reg_item * 96), self.reg_item_bias / 4
        self.priors = np.array([self.prior] * self.factors + [self.bias_prior] * self.biases)
        self.reg_items = np.array([self.reg_item] * self.factors + [self.reg_item_bias] * self.biases)

    @property
    def bits(self) -> list[int]:
        bias_bits = min(BITS, 9 + math.ceil(math.log2(1 + self.bias_prior)))
        return [BITS] * self.factors + [bias_bits] * self.biases + [7, 0]

    def weights(self, raters: Floats) -> Floats:
        return np.asarray((raters[:, None] + self.priors) * (1 / (1 + self.priors)))

    def first_table(self, item_matrix: Floats) -> Floats:
        values, nobody = np.pad(item_matrix, ((0, 0), (0, int(self.biases)))), np.zeros(len(item_matrix))
        return np.column_stack([values * self.weights(nobody), nobody, nobody])

    def values(self, table: Floats) -> Floats:
        return np.asarray(table[:, :-2] / self.weights(table[:, -1]))

    def regression(self, table: Floats) -> tuple[Floats, Floats]:
        """x and y of the own ratings: y - x @ (u, b_i) are their errors."""
        known = self.values(table)[self.rows]
        if not self.biases:
            return known, self.ratings
        return np.column_stack([known[:, :-1], np.ones(len(known))]), self.ratings - known[:, -1]

    def vector_under(self, table: Floats) -> Floats:
        (x, y), penalty = self.regression(table), [self.reg_user] * self.factors
        penalty += [self.reg_user_bias] * self.biases
        return np.asarray(np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ y))

    def learn(self, table: Floats) -> Floats:
        known, L, n = self.values(table)[self.rows], table[self.rows, -2], table[self.rows, -1]
        x, y = self.regression(table)
        self.vector = self.vector_under(table)
        u, errors, new = self.vector[: self.factors], y - x @ self.vector, 1.0 - self.joined
        length = np.sum(u**2)
        part = min(math.ceil(length * 128) / 128, 16.0)  # rounded up: steps are never too long
        if self.joined:
            curvature, pull = np.maximum(L + max(part - self.part, 0.0), n * part / 4), 1 / n
            scale = 1.6 * (n + self.prior) / ((1 + self.prior) * (4 / 3 * curvature + self.reg_item))
        else:  # as if all raters were alike, and nobody's share of the regulariser known
            pull = np.zeros(len(n))
            scale = np.full(len(n), 1.6 / ((1 + self.prior) * 4 / 3 * max(part, 1 / 128)))
        bias_scale = np.full(len(n), 1.6 / (4 + self.reg_item_bias))
        scales = np.column_stack([scale] * self.factors + [bias_scale] * self.biases)
        short = min(1.0, 16 / length) if length else 1.0  # part of L is 16 at most
        along = np.append(short * u, np.ones(int(self.biases)))
        steps = scales * (errors[:, None] * along - pull[:, None] * self.reg_items * known)
        steps += new * known / (1 + self.priors)  # n grows, and so must the sums, or values would shrink
        grown = part - self.part
        self.part, self.joined = part, True
        return np.column_stack([steps, np.full(len(n), grown), np.full(len(n), new)])


RULES: dict[str, type[User]] = {"sequential": Sequential, "batch": Batch, "ridge": Ridge}


def encrypt(public: paillier.PaillierPublicKey, values: Floats, bits: Sequence[int]) -> NDArray[Any]:
    """An object array of ``phe.EncryptedNumber``: whole multiples of 2**-bits of each column."""
    integers = np.rint(values * 2.0 ** np.array(bits))
    encrypted = [public.encrypt(int(x)) for x in integers.ravel()]
    return np.array(encrypted, dtype=object).reshape(values.shape)


def decrypt(private: paillier.PaillierPrivateKey, encrypted: NDArray[Any], bits: Sequence[int]) -> Floats:
    """Undo :func:`encrypt`, sums included."""
    integers = np.array([private.decrypt(e) for e in encrypted.ravel()], dtype=float)
    return integers.reshape(encrypted.shape) / 2.0 ** np.array(bits)
