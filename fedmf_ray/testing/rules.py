"""What every update rule must do.

class TestHuber(RuleTests):
    rule = Huber(delta=0.5)
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fedmf_ray.costs import unit_costs
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.items import Items, user_side
from fedmf_ray.learning.metrics import error_sums
from fedmf_ray.learning.rules import Learned, Memory, Rule
from fedmf_ray.protocol.round import Local
from fedmf_ray.schemes import IN_THE_CLEAR
from fedmf_ray.tables import FACTORS, ITEMS, RATERS
from fedmf_ray.testing.federations import FEW, LEAST_ITEMS, STEPS, federation, setting_of
from fedmf_ray.testing.hidden_rows import check_hidden_rows

Case = tuple[int, bool, int]

CASES: list[Case] = [(0, False, 1), (0, True, 1), (2, False, 1), (2, True, 1), (3, True, 3)]
"""Rounds that are over, with biases or without, and ``min_raters``."""

MANY = (150, 300, 3)
"""Numbers of ratings: more than a rule may look at together."""

WIDTHS = (1, 2, 7, 100, 129)
"""Numbers of factors around which a library may change the order of its sums."""

cases = pytest.mark.parametrize("case", CASES, ids=str)
biases = pytest.mark.parametrize("biases", [False, True], ids=["alone", "biases"])


class RuleTests:
    """For any rule. steps: with which it trains on ratings from 0.5 to 5, of which 3 is the mean."""

    rule: Rule
    steps: Steps = STEPS

    def test_it_has_a_name_and_settings_with_defaults(self) -> None:
        kind: Any = type(self.rule)
        assert kind.name
        assert isinstance(kind(), kind)
        written = json.loads(json.dumps(self._own_settings()))
        assert kind(**written) == self.rule, "settings that are written and read do not give the same rule"

    def test_nothing_of_it_changes_and_it_travels(self) -> None:
        for name in self._own_settings():
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(self.rule, name, 0)
        travelled = pickle.loads(pickle.dumps(self.rule))
        assert travelled == self.rule
        assert hash(travelled) == hash(self.rule), "unit costs are kept by rule"

    def _own_settings(self) -> dict[str, Any]:
        rule: Any = self.rule
        return {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}

    @biases
    def test_it_says_in_a_line_what_keeps_it_from_running(self, biases: bool) -> None:
        assert self.rule.problem(self.steps, biases) is None, "these tests need other `steps`"
        for line in (self.rule.problem(Steps(1e-3, 0.0, 0.0), biases), self.rule.calmer):
            assert line is None or (line and "\n" not in line)

    @biases
    @pytest.mark.parametrize("min_raters", [1, 3])
    def test_its_tables_are_such_as_users_and_servers_expect(self, biases: bool, min_raters: int) -> None:
        setting = setting_of(5, biases, min_raters, self.steps)
        tables = self.rule.tables(setting)
        items, parts = tables[0], len(self.rule.parts)
        assert tables == self.rule.tables(setting), "asked twice, it says two things"
        assert len({table.name for table in tables}) == len(tables)
        assert (items.name, items.rows) == (ITEMS, setting.items)
        assert items.columns[0].name == FACTORS or not self.rule.predicts
        assert not items.fresh
        for table in tables:
            assert table.rows > 0
            assert all(column.count > 0 for column in table.columns)
            for bounds in (table.value_bounds, table.update_bounds):
                assert bounds.shape == (table.width,)
                assert np.isfinite(bounds).all()
                assert (bounds > 0).all()
        columns, numbers = list(items.columns), self.rule.part_numbers(items)
        assert (RATERS in items) == (self.rule.counts or min_raters > 1)
        if RATERS in items:
            assert columns.pop() == setting.counter(), "the column of raters is the last one"
        own = [column.name for column in columns[len(columns) - parts :]]
        assert own == list(self.rule.parts), "`parts` come before it"
        assert self.rule.learns(items) == sum(column.count for column in columns) - numbers

    @biases
    @pytest.mark.parametrize("min_raters", [1, 3])
    def test_its_start_fits_and_is_read_as_numbers(self, biases: bool, min_raters: int) -> None:
        setting = setting_of(5, biases, min_raters, self.steps)
        table, random = self.rule.tables(setting)[0], np.random.default_rng(0)
        rows = self.rule.start(_fixed(random.normal(0, 0.3, (LEAST_ITEMS, 5))), table, setting)
        assert rows.shape == (table.rows, table.width)
        assert (np.abs(rows) <= table.value_bounds).all()
        limits = self.rule.limits(rows, table, setting)
        assert limits is None or (np.abs(rows[:, : limits.shape[1]]) <= limits).all()
        for name in (*self.rule.parts, RATERS):
            assert name not in table or not rows[:, table.at(name)].any(), f"nobody is in {name} yet"
        items = self._after((0, biases, min_raters)).items
        assert np.isfinite(items.vectors).all()
        assert (items.raters, items.learned) == (None, None)

    @cases
    def test_what_users_read_has_the_declared_shapes(self, case: Case) -> None:
        local = self._after(case)
        (table, *shared), setting, items = local.terms.blocks.tables, local.terms.setting, local.items
        assert items.vectors.shape == (table.rows, setting.predictors + setting.biases)
        assert np.isfinite(items.vectors).all()
        if setting.biases:
            assert (items.vectors[:, setting.factors] == 1).all(), "an item is v_j, 1, b_j"
        declared = {column.name: (table.rows, column.count) for column in table.columns}
        assert {name: values.shape for name, values in items.columns.items()} == declared
        declared = {other.name: (other.rows, other.width) for other in shared}
        assert {name: values.shape for name, values in items.shared.items()} == declared

    @cases
    def test_steps_have_the_declared_shapes(self, case: Case) -> None:
        local = self._after(case)
        learned, (table, *shared), setting = _learn(local), local.terms.blocks.tables, local.terms.setting
        assert learned.vectors.shape == (len(FEW), setting.predictors)
        assert learned.steps.shape == (sum(FEW), self.rule.learns(table))
        if self.rule.parts:
            assert learned.parts is not None
            assert learned.parts.shape == (sum(FEW), self.rule.part_numbers(table))
            point = [column.point for column in table.columns if column.name in self.rule.parts]
            counts = [column.count for column in table.columns if column.name in self.rule.parts]
            on_grid = learned.parts * np.repeat([one.scale for one in point], counts)
            assert np.array_equal(on_grid, np.rint(on_grid)), "parts are not on their grids"
        declared = {other.name: (len(FEW), other.rows, other.width) for other in shared}
        assert {name: values.shape for name, values in learned.shared.items()} == declared
        for values in _arrays(learned):
            assert values.dtype == np.float64
            assert np.isfinite(values).all()
        if self.rule.solves:
            solved = self.rule.solve(local.items, local.users.train.whole, setting)
            assert solved.shape == (len(FEW), setting.predictors)

    @cases
    @pytest.mark.parametrize("ratings", [FEW, MANY], ids=["few", "many"])
    def test_a_user_gets_the_same_bits_in_any_company(self, case: Case, ratings: Sequence[int]) -> None:
        _same_bits(self._after(case, ratings=ratings))

    @biases
    @pytest.mark.parametrize("factors", WIDTHS)
    def test_company_changes_no_bit_of_short_and_of_long_vectors(self, factors: int, biases: bool) -> None:
        _same_bits(self._after((2, biases, 1), factors))

    @cases
    def test_users_need_no_more_rows_than_it_says(self, case: Case) -> None:
        """With ``reads_rated``: what others rated may be anything at all."""
        local = self._after(case)
        if self.rule.reads_rated:
            check_hidden_rows(local, _results)

    @cases
    def test_inputs_are_left_alone(self, case: Case) -> None:
        local = self._after(case)
        users, setting, read = local.users, local.terms.setting, local.items
        items = Items(
            _fixed(read.vectors),
            None if read.raters is None else _fixed(read.raters),
            None if read.learned is None else _fixed(read.learned),
            {name: _fixed(values) for name, values in read.columns.items()},
            {name: _fixed(values) for name, values in read.shared.items()},
        )
        block = RatingBlock(*(_fixed(column) for column in users.train.whole))
        memory = Memory(_fixed(users.counted), _fixed(users.parts))
        self.rule.learn(_fixed(users.opened), items, block, memory, setting)
        self.rule.hold(items, block, _fixed(np.ones(len(block.items))), setting)
        if self.rule.solves:
            self.rule.solve(items, block, setting)
        self.rule.read([_fixed(values) for values in local.tables], setting, counted=True)

    @biases
    @pytest.mark.parametrize("rounds", [0, 2])
    def test_who_only_counts_itself_leaves_values_where_they_are(self, rounds: int, biases: bool) -> None:
        local = self._after((rounds, biases, 2))
        table, setting, block = local.terms.items, local.terms.setting, local.users.train.whole
        missing = np.random.default_rng(0).integers(0, 2, len(block.items)).astype(float)
        steps = self.rule.hold(local.items, block, missing, setting)
        learns = self.rule.learns(table)
        assert steps.shape == (len(block.items), learns)
        added = np.zeros((len(steps), table.width))
        added[:, :learns], added[:, -1] = steps, missing
        after = local.tables[0].copy()
        np.add.at(after, block.items, added)
        known = np.ones(table.rows, bool) if local.items.learned is None else local.items.learned
        values = [self.rule.values(rows, table, setting)[known] for rows in (local.tables[0], after)]
        assert values[1] == pytest.approx(values[0], abs=1e-9)

    @biases
    @pytest.mark.parametrize("min_raters", [1, 2])
    def test_twenty_rounds_fit_ratings_better_than_initial_values(
        self, biases: bool, min_raters: int
    ) -> None:
        local = self._after((0, biases, min_raters))
        users = local.users
        users.vectors[:] = local.terms.start.users(users.user_ids.tolist(), local.terms.setting)
        initial = _error(local)
        if self.rule.solves:
            users.solve(0, len(users), local.items, local.terms)
        for _ in range(20):
            local.round()
            assert np.isfinite(users.vectors).all()
        assert _error(local) < initial

    def test_its_work_can_be_priced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unit_costs, "_BUDGET_S", 0.0)
        for biases, min_raters in ((False, 1), (True, 2)):
            unit = unit_costs.measure(IN_THE_CLEAR, self.rule, unit_costs.Columns(4, biases, min_raters))
            assert unit.update(100) > 0

    def _after(self, case: Case, factors: int = 5, ratings: Sequence[int] = FEW) -> Local:
        """A federation after some rounds; one user missed the first."""
        rounds, biases, min_raters = case
        items, users = max(LEAST_ITEMS, *ratings), len(ratings)
        setting = setting_of(factors, biases, min_raters, self.steps, items, users)
        local = federation(self.rule, setting, ratings)
        for number in range(rounds):
            local.round(absent=() if number else (2,))
        return local


def _learn(local: Local, first: int = 0, stop: int | None = None) -> Learned:
    """What a contiguous range of users learns in the round that is open."""
    users, stop = local.users, len(local.users) if stop is None else stop
    mine = slice(users.train.starts[first], users.train.starts[stop])
    memory, block = Memory(users.counted[first:stop], users.parts[mine]), users.train.part(first, stop)
    rule, setting = local.terms.rule, local.terms.setting
    learned = rule.learn(users.opened[first:stop], local.items, block, memory, setting)
    tables = [table for table in rule.shared(setting) if not table.always]
    added = (rule.passing(table.name, learned.vectors, local.items, block, setting) for table in tables)
    passing = {table.name: rows.dense(table.rows) for table, rows in zip(tables, added, strict=True)}
    assert not passing.keys() & learned.shared.keys(), "`learn` says nothing of passing tables"
    return dataclasses.replace(learned, shared={**learned.shared, **passing})


def _results(local: Local, user: int) -> list[NDArray[np.float64]]:
    """Whatever one user computes from what it reads."""
    rule, setting, block = local.terms.rule, local.terms.setting, local.users.train.part(user, user + 1)
    rule.prepare(local.items, setting)
    held = rule.hold(local.items, block, np.ones(len(block.items)), setting)
    solved = [rule.solve(local.items, block, setting)] if rule.solves else []
    return [*_arrays(_learn(local, user, user + 1)), held, *solved]


def _same_bits(local: Local) -> None:
    """Everybody together against each alone and against all but the first."""
    together, count, setting = _learn(local), len(local.users), local.terms.setting
    whole, rule = local.users.train.whole, local.terms.rule
    for first, stop in [*((user, user + 1) for user in range(count)), (1, count)]:
        mine = slice(whole.starts[first], whole.starts[stop])
        expected = Learned(
            together.vectors[first:stop],
            together.steps[mine],
            None if together.parts is None else together.parts[mine],
            {name: values[first:stop] for name, values in together.shared.items()},
        )
        pairs = zip(_arrays(_learn(local, first, stop)), _arrays(expected), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs), f"users {first} to {stop - 1} differ alone"
        if rule.solves:
            solved = rule.solve(local.items, whole.part(first, stop), setting)
            assert np.array_equal(solved, rule.solve(local.items, whole, setting)[first:stop])


def _arrays(learned: Learned) -> Iterator[NDArray[np.float64]]:
    yield learned.vectors
    yield learned.steps
    if learned.parts is not None:
        yield learned.parts
    yield from (learned.shared[name] for name in sorted(learned.shared))


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that raises ``ValueError`` when it is written to."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _error(local: Local) -> float:
    """Sum of squared training errors."""
    side = user_side(local.users.vectors, local.terms.setting.biases)
    sums = error_sums(side, local.items.vectors, local.users.train.whole, local.users.test.whole)
    return float(sums.train_squared.sum())
