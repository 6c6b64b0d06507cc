"""What an update rule is: the tables that users add up, what they read from them, and what each user adds.

A rule is a frozen dataclass; its fields are its own settings, under ``model.<name>`` of a scenario.
Everything it computes is a function of arrays for a block of users, and no bit of a user's result may depend
on who shares its block (:mod:`fedmf_ray.learning.blocks`).

Steps have one sign from here to the server: what a rule returns is what is *added* to the tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.checks import CHECKS
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps, inner
from fedmf_ray.learning.items import Items, item_side, mean_change, user_side
from fedmf_ray.tables import BIAS, FACTORS, ITEMS, RATERS, Column, SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


SCALE = 0.5, 5.0
"""The lowest and the highest rating, where nobody says otherwise."""


@dataclass(frozen=True)
class Setting:
    """What everybody has agreed on that a rule may need.

    items: rows of the item matrix. min_raters: users upload zeros for rows that fewer of them rated.
    point: the grid and the bounds of a factor or a bias as it is (what a scenario calls fraction_bits,
    value_bound and update_bound), and how many users there are. scale: the lowest and the highest rating.
    """

    items: int
    factors: int
    biases: bool
    steps: Steps
    min_raters: int
    point: FixedPoint
    scale: tuple[float, float] = SCALE

    @property
    def predictors(self) -> int:
        """Numbers of a user's vector, or of an item's, that predictions are made of: factors and bias."""
        return self.factors + self.biases

    def counter(self) -> Column:
        """The column of raters: whole numbers, to which each rater adds 1 once."""
        users = self.point.contributors
        return Column(RATERS, 1, FixedPoint(0, users, 1, users))


@dataclass(frozen=True)
class Memory:
    """What the users of a block know of themselves beside their vectors, from what they have added before.

    counted: (users,) 1 if they are in the column of raters already, 0 if not. parts: (ratings, k) how much of
    each of the rule's ``parts`` columns is theirs as it stands.
    """

    counted: Floats
    parts: Floats


@dataclass(frozen=True)
class Learned:
    """What a block of users has learned in a round.

    vectors: (users, predictors) where they are now. steps: (ratings, k) what each rating adds to the k
    numbers of its item's row that stand before the rule's ``parts`` and the raters. parts: (ratings, k) what
    the rule's ``parts`` columns should hold of each rating from now on: users add the difference. shared:
    what each user adds to a shared table that is there in every round, by its name: (users, rows, width).
    """

    vectors: Floats
    steps: Floats
    parts: Floats | None = None
    shared: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Defaults:
    """What keys of ``model`` and ``protocol`` are where a scenario does not give them.

    mean: None for that of the ratings. reg_user_bias, reg_item_bias: None for reg_user and reg_item.
    """

    factors: int = 100
    biases: bool = False
    mean: float | None = 0.0
    reg_user: float = 1e-4
    reg_item: float = 1e-4
    reg_user_bias: float | None = None
    reg_item_bias: float | None = None
    init_scale: float = 0.1
    fraction_bits: int = 20
    value_bound: float = 16.0
    update_bound: float = 0.5


class Rule(ABC):
    """An update rule. Subclasses are frozen dataclasses with a ``name``."""

    __pydantic_config__: ClassVar[dict[str, object]] = CHECKS

    name: ClassVar[str]

    solves: ClassVar[bool] = False
    """Users' vectors are functions of V and their ratings: they :meth:`solve` for them as a round opens."""

    counts: ClassVar[bool] = False
    """Item rows always have a column of raters, whatever ``min_raters`` says."""

    census: ClassVar[bool] = False
    """Round 0 is a census whatever ``min_raters`` says, and later rounds count nobody: what they add up is
    about items that everybody has chosen from these counts."""

    predicts: ClassVar[bool] = True
    """Users' scores are ratings that they expect. Otherwise they are fit for sorting a list alone, and the
    errors that a run reports are those of whatever ``values`` and vectors say of ratings."""

    has_factors: ClassVar[bool] = True
    """Something of it is as long as ``model.factors``."""

    reads_rated: ClassVar[bool] = False
    """To learn, a user needs no item rows but those that it rated, and the shared tables. All of V, unless a
    rule says so."""

    prepares: ClassVar[bool] = False
    """It has something to :meth:`prepare` for all items, which takes the longer the more there are."""

    unit_items: ClassVar[int] = 0
    """How many items there must be for a user's work to take what it takes in a run."""

    pauses: ClassVar[bool] = False
    """In rounds that a table passes through, users add to that alone: no item row changes, nobody counts
    itself."""

    parts: ClassVar[tuple[str, ...]] = ()
    """Columns in which each rating's part stands once, and is replaced by its rater when it changes. They
    are the last ones of a row but for the raters. What :meth:`learn` says of them must be on their grids."""

    calmer: ClassVar[str] = "lower model.learning_rate"
    """What to change where training diverges."""

    @classmethod
    def defaults(cls, length: float) -> Defaults:
        """What settings are unless a scenario gives them. length: of the rating scale, its highest minus its
        lowest; rules whose settings should follow it use it."""
        return Defaults()

    def problem(self, steps: Steps, biases: bool) -> str | None:
        """Why the rule cannot run with these settings, in words that name keys of ``model``; None if it
        can."""
        return None

    def unfit(self, setting: Setting) -> str | None:
        """The same for the items and users that there are: ``key: what is wrong``; None if it can run."""
        return None

    def settled(self, rounds: int) -> dict[str, object]:
        """Its own settings that were left to the number of rounds, by name."""
        return {}

    def too_short(self, rounds: int, early: bool) -> str | None:
        """Why so many rounds, which may end early, are not enough, in words that name keys of ``model``; None
        if they are."""
        return None

    def columns(self, setting: Setting) -> tuple[Column, ...]:
        """The columns of an item row: factors, the bias if there is one, raters if anybody needs them."""
        values = [Column(FACTORS, setting.factors, setting.point)]
        if setting.biases:
            values.append(Column(BIAS, 1, setting.point))
        return (*values, setting.counter()) if setting.min_raters > 1 else tuple(values)

    def shared(self, setting: Setting) -> tuple[Table, ...]:
        """Tables to which every user adds, in every round or in those that they are there in."""
        return ()

    def tables(self, setting: Setting) -> tuple[Table, ...]:
        """The item table, then the shared ones."""
        return (Table(ITEMS, setting.items, self.columns(setting)), *self.shared(setting))

    def learns(self, table: Table) -> int:
        """How many numbers of an item row :attr:`Learned.steps` are for."""
        last = {*self.parts, RATERS}
        return sum(column.count for column in table.columns if column.name not in last)

    def part_numbers(self, table: Table) -> int:
        """How many numbers of an item row are in ``parts``."""
        return sum(column.count for column in table.columns if column.name in self.parts)

    def start(self, vectors: Floats, table: Table, setting: Setting) -> Floats:
        """(items, width) the item table that opens round 0, from initial vectors (items, factors)."""
        matrix = np.zeros((table.rows, table.width))
        matrix[:, table.at(FACTORS)] = vectors
        return matrix

    def values(self, rows: Floats, table: Table, setting: Setting) -> Floats:
        """(n, predictors) v_j and b_j from rows (n, width) of the item table."""
        return rows[:, : setting.predictors]

    def limits(self, rows: Floats, table: Table, setting: Setting) -> Floats | None:
        """(n, k) what the first k numbers of these rows may be at most, where that depends on the rows; None
        where the bounds of the columns say all."""
        return None

    def read(self, tables: Sequence[Floats], setting: Setting, counted: bool) -> Items:
        """What users read. tables: the values of all tables. counted: a round is over, in which raters
        counted themselves.

        A row that nobody may learn predicts nothing: whatever noise it started from reads as zeros.
        """
        items, *shared = self.tables(setting)
        matrix, vectors = tables[0], self.values(tables[0], items, setting)
        raters = learned = None
        if RATERS in items and counted:
            raters = np.ascontiguousarray(matrix[:, items.at(RATERS)][:, 0])
            if self.predicts:
                vectors = np.where((raters >= setting.min_raters)[:, None], vectors, 0.0)
            if setting.min_raters > 1:
                learned = raters >= setting.min_raters
        return Items(
            item_side(vectors, setting.factors, setting.biases),
            raters,
            learned,
            {column.name: _column(matrix, items.at(column.name)) for column in items.columns},
            {table.name: values for table, values in zip(shared, tables[1:], strict=True)},
        )

    def prepare(self, items: Items, setting: Setting) -> None:  # noqa: B027
        """Work out what every user needs of the tables of a round, and keep it in ``items.derived``. It is
        done once in a process, and charged to each user as part of its update."""

    def solve(self, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """(users, predictors) each user's vector under the items of a round, for rules that solve."""
        raise NotImplementedError(f"rule {self.name} does not solve")

    @abstractmethod
    def learn(
        self, vectors: Floats, items: Items, block: RatingBlock, memory: Memory, setting: Setting
    ) -> Learned:
        """One round of a block of users. vectors: (users, predictors) as they were when it opened."""

    def passing(
        self, table: str, vectors: Floats, items: Items, block: RatingBlock, setting: Setting
    ) -> SparseRows:
        """What each user adds to a shared table that is there in some rounds only; asked in these alone.
        vectors: (users, predictors) as :meth:`learn` has left them."""
        raise NotImplementedError(f"rule {self.name} has no table {table}")

    def scores(self, vector: Floats, items: Items, block: RatingBlock, setting: Setting) -> Floats:
        """(items,) what one user's list is sorted by: the ratings that it expects, less the mean. vector:
        (predictors,) its own. block: its training ratings."""
        expected = inner(user_side(vector[None], setting.biases), items.vectors)
        if self.corrects(items):
            expected += self.corrections(vector, items, block, np.arange(len(expected)), setting)
        return expected

    @property
    def adds_pairs(self) -> bool:
        """Whether users add to sums over pairs of items, which ``min_raters`` does not protect."""
        return False

    def corrects(self, items: Items) -> bool:
        """Whether what users expect under these items is more than an inner product: :meth:`corrections`."""
        return False

    def corrections(
        self, vector: Floats, items: Items, block: RatingBlock, rows: Integers, setting: Setting
    ) -> Floats:
        """(n,) what one user adds to the inner products with items ``rows``, each with the same bits in any
        company. vector: (predictors,) its own. block: its training ratings."""
        return np.zeros(len(rows))

    def change(self, before: Items, after: Items, setting: Setting) -> float:
        """Mean absolute change of what users read of items, for ``stop.tolerance``."""
        return mean_change(before, after, setting.factors, setting.biases)

    def hold(self, items: Items, block: RatingBlock, missing: Floats, setting: Setting) -> Floats:
        """(ratings, k) the steps of a round in which users only count themselves (a census): those that leave
        all values where they are. missing: (ratings,) 1 where the rater is not counted yet, else 0."""
        return np.zeros((len(block.items), self.learns(self.tables(setting)[0])))


def _column(matrix: Floats, at: slice) -> Floats:
    """(items, count) of a table. A single number per item is copied: users read it a block at a time."""
    part = matrix[:, at]
    return np.ascontiguousarray(part) if part.shape[1] == 1 else part
