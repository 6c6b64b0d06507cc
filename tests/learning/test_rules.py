"""Every rule that is registered here does what rules must do, and so do some that nobody registered."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import inner
from fedmf_ray.learning.rules import RULES, GradientRule, Learned, Rule
from fedmf_ray.learning.rules.gradient import Batch, sides
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.tables import Column, Table
from fedmf_ray.testing.federations import FEW
from fedmf_ray.testing.rules import RuleTests
from tests.learning.populations import owners


class TestEveryRule(RuleTests):
    @pytest.fixture(autouse=True, params=RULES.names())
    def each(self, request):
        self.rule = RULES.get(request.param)()


@dataclass(frozen=True)
class Huber(GradientRule):
    """Another loss than the squared one, and a setting of its own."""

    name: ClassVar[str] = "huber"
    delta: float = 1.0

    def step(self, user_vectors, item_matrix, block, steps, bias=False):
        side = sides(steps, user_vectors.shape[1], bias)
        of, v = owners(block), item_matrix[block.items]
        u = user_vectors[of]
        error = np.clip(block.values - inner(u, v), -self.delta, self.delta)[:, None]
        pull = np.zeros_like(user_vectors)
        np.add.at(pull, of, 2 * error * v)
        moved = user_vectors + side.user_rate * (pull - side.user_pull * user_vectors)
        return moved, side.item_rate * (2 * error * u - side.item_pull * v)


class TestRuleWithAnotherLoss(RuleTests):
    rule = Huber(delta=0.75)


@dataclass(frozen=True)
class Counting(Batch):
    """A shared table, fresh in every round: how long vectors are, together."""

    name: ClassVar[str] = "counting"

    def shared(self, setting):
        point = FixedPoint(20, 1e4, 1e3, setting.point.contributors)
        return (Table("lengths", 2, (Column("squares", setting.predictors, point, "fresh"),)),)

    def learn(self, vectors, items, block, memory, setting):
        learned = super().learn(vectors, items, block, memory, setting)
        squares = np.repeat((learned.vectors**2)[:, None, :], 2, axis=1)
        return Learned(learned.vectors, learned.steps, shared={"lengths": squares})


class TestRuleWithASharedTable(RuleTests):
    rule = Counting()


class Company(Batch):
    """A user moves by as much as how many share its block."""

    def step(self, user_vectors, *rest, **more):
        moved, item_steps = super().step(user_vectors, *rest, **more)
        return moved * (1 + 1e-12 * len(user_vectors)), item_steps


class InPlace(Batch):
    """Moves the vectors that it is given."""

    def step(self, user_vectors, *rest, **more):
        moved, item_steps = super().step(user_vectors, *rest, **more)
        user_vectors[:] = moved
        return user_vectors, item_steps


class Uphill(Batch):
    """Steps that should be subtracted."""

    def step(self, *args, **more):
        moved, item_steps = super().step(*args, **more)
        return moved, -item_steps


class Wide(Batch):
    """Steps for a column that its table does not have."""

    def learn(self, *args):
        learned = super().learn(*args)
        return Learned(learned.vectors, np.pad(learned.steps, ((0, 0), (0, 1))))


class Silent(Batch):
    """Says nothing about a table that it shares."""

    shared = Counting.shared


class Uncounted(Ridge):
    """Forgets that its values are sums, which must grow with the raters."""

    def hold(self, items, block, missing, setting):
        return np.zeros((len(block.items), setting.predictors))


class Unannounced(Ridge):
    """Has a column of raters that it says nothing about."""

    counts = False


@dataclass(frozen=True)
class Demanding(Batch):
    """A setting without a default."""

    delta: float


@dataclass(frozen=True)
class Listing(Batch):
    """A setting that JSON gives back as something else, and that has no hash."""

    deltas: list = field(default_factory=lambda: [np.float32(1.5)])


@pytest.mark.parametrize(
    ("rule", "contract"),
    [
        (Company(), lambda tests: tests.test_a_user_gets_the_same_bits_in_any_company((2, True, 1), FEW)),
        (Company(), lambda tests: tests.test_company_changes_no_bit_of_short_and_of_long_vectors(7, True)),
        (InPlace(), lambda tests: tests.test_inputs_are_left_alone((2, False, 1))),
        (Wide(), lambda tests: tests.test_steps_have_the_declared_shapes((0, False, 1))),
        (Silent(), lambda tests: tests.test_steps_have_the_declared_shapes((0, False, 1))),
        (Uphill(), lambda tests: tests.test_twenty_rounds_fit_ratings_better_than_initial_values(True, 1)),
        (Uncounted(), lambda tests: tests.test_who_only_counts_itself_leaves_values_where_they_are(2, True)),
        (Unannounced(), lambda tests: tests.test_its_tables_are_such_as_users_and_servers_expect(True, 1)),
        (Demanding(1.0), lambda tests: tests.test_it_has_a_name_and_settings_with_defaults()),
        (Listing(), lambda tests: tests.test_it_has_a_name_and_settings_with_defaults()),
        (Listing(), lambda tests: tests.test_nothing_of_it_changes_and_it_travels()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Rule) else "",
)
def test_the_contract_finds_what_is_wrong(rule, contract):
    tests = RuleTests()
    tests.rule = rule
    with pytest.raises((AssertionError, TypeError, ValueError, KeyError, FedMFError)):
        contract(tests)
