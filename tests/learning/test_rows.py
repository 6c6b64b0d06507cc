"""What users read from rows of several kinds of columns."""

from dataclasses import replace

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint, first_beyond
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.items import item_columns, user_side
from fedmf_ray.learning.rules import Setting
from fedmf_ray.learning.rules.gradient import Batch
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.learning.rules.ridge_steps import RaterSums
from fedmf_ray.tables import BIAS, FACTORS, RATERS, Column, Table

POINT = FixedPoint(20, 16.0, 1.5, contributors=610)
STEPS = Steps(1.0, reg_user=1.0, reg_item=0.5, reg_user_bias=1.0, reg_item_bias=2.0)
RIDGE = Setting(2, 2, True, STEPS, min_raters=1, point=POINT)
"""With it 48 raters weigh as much as the regulariser of the factors, and half a one as that of the bias."""

ROWS = np.array([[0.5, -0.5, 0.1, 3.0, 2.0], [0.25, 0.0, 0.2, 0.0, 0.0]])


def test_columns_are_read_by_name():
    plain = Batch().read([ROWS[:, :3]], RIDGE, counted=False)
    assert plain.vectors.tolist() == [[0.5, -0.5, 1.0, 0.1], [0.25, 0.0, 1.0, 0.2]]
    assert set(plain.columns) == {FACTORS, BIAS}
    assert Ridge().read([ROWS], RIDGE, counted=False).raters is None
    items = Ridge().read([ROWS], RIDGE, counted=True)
    assert items.columns["curvature"].tolist() == [[3.0], [0.0]]
    assert items.raters.tolist() == [2.0, 0.0]


def test_sums_over_raters_are_divided_when_they_are_read():
    """By (n + c) / (1 + c): two raters, against 48 for the factors and 0.5 for the bias."""
    weights = RaterSums.of(RIDGE).weights(np.array([2.0, 0.0, 1.0]))
    expected = [[50 / 49] * 2 + [2.5 / 1.5], [48 / 49] * 2 + [0.5 / 1.5], [1] * 3]
    assert weights == pytest.approx(np.array(expected))
    items = Ridge().read([ROWS], RIDGE, counted=True)
    assert items.vectors[0].tolist() == pytest.approx([0.5 * 49 / 50, -0.5 * 49 / 50, 1.0, 0.1 * 1.5 / 2.5])


@pytest.mark.parametrize(("least", "learned"), [(1, None), (2, [True, False]), (3, [False, False])])
def test_rows_with_too_few_raters_predict_nothing(least, learned):
    items = Ridge().read([ROWS], replace(RIDGE, min_raters=least), counted=True)
    assert (None if items.learned is None else items.learned.tolist()) == learned
    silent = ROWS[:, -1] < least
    assert (items.vectors[silent][:, [0, 1, 3]] == 0).all()
    read = ROWS[:, :3] / RaterSums.of(RIDGE).weights(ROWS[:, -1])
    assert (items.vectors[~silent][:, [0, 1, 3]] == read[~silent]).all()
    assert (items.vectors[:, 2] == 1).all()


def test_factors_alone_are_the_matrix_itself():
    matrix = np.arange(6.0).reshape(3, 2)
    items = Batch().read([matrix], replace(RIDGE, items=3, biases=False), counted=True)
    assert items.vectors is matrix or np.shares_memory(items.vectors, matrix)
    assert items.learned is None
    assert user_side(matrix, bias=False) is matrix
    assert item_columns(matrix, 2, bias=False) is matrix


def test_sides_multiply_to_the_prediction():
    user = user_side(np.array([[2.0, 1.0, 0.25]]), bias=True)
    items = Batch().read([ROWS[:, :3]], RIDGE, counted=False)
    assert (items.vectors @ user[0]).tolist() == [2 * 0.5 - 0.5 + 0.25 + 0.1, 0.5 + 0.25 + 0.2]


class TestGrids:
    def test_counts_and_curvatures_have_bounds_and_fractions_of_their_own(self):
        (table,) = Ridge().tables(RIDGE)
        values = np.array([[0.3, -15.9, 1001.2, 9000.004, 610.0]])
        back = table.to_floats(table.to_integers(values))
        assert (np.abs(back - values) <= [2**-21] * 2 + [2**-11, 2**-8, 0]).all()
        largest = [16 * 658 / 49] * 2 + [16 * 610.5 / 1.5]  # what stands for 16 with 610 raters
        assert table.value_bounds.tolist() == pytest.approx([*largest, 610 * 16, 610])
        assert table.update_bounds.tolist() == [1.5, 1.5, 1.5, 16, 1]
        widths = [column.point.slot_bits for column in table.columns]
        assert table.slot_bits == widths[0] == 32  # the other columns cost no width
        assert all(width < 32 for width in widths[1:])

    def test_wide_arrays_repeat_the_columns(self):
        (table,) = Ridge().tables(RIDGE)
        once = np.array([[0.5, -2.0, 1.0, 3.75, 2.0]])
        assert np.array_equal(table.to_integers(np.tile(once, 3)), np.tile(table.to_integers(once), 3))
        assert np.array_equal(table.to_floats(table.to_integers(np.tile(once, 3))), np.tile(once, 3))

    def test_only_factors_leave_one_grid(self):
        (table,) = Batch().tables(replace(RIDGE, factors=7, biases=False))
        assert table.columns == (Column(FACTORS, 7, POINT),)
        assert table.slot_bits == POINT.slot_bits
        assert table._scale(21) == POINT.scale, "one number for all columns, which is faster than an array"

    def test_a_column_is_found_by_its_name_or_not_at_all(self):
        (table,) = Ridge().tables(RIDGE)
        found = {name: ROWS[0, table.at(name)].tolist() for name in (FACTORS, BIAS, RATERS)}
        assert found == {FACTORS: [0.5, -0.5], BIAS: [0.1], RATERS: [2.0]}
        assert "curvature" in table
        with pytest.raises(KeyError):
            table.at("colour")

    @pytest.mark.parametrize(
        ("second", "reason"),
        [
            (Column("a", 1, POINT), "two columns of one name"),
            (Column("b", 1, POINT, "fresh"), "all kept or all fresh"),
        ],
    )
    def test_a_table_that_servers_cannot_keep_is_refused(self, second, reason):
        with pytest.raises(ValueError, match=reason):
            Table("t", 3, (Column("a", 1, POINT), second))

    def test_a_column_that_no_slot_holds_is_refused(self):
        with pytest.raises(FedMFError, match="no slot holds more than 57"):
            FixedPoint(50, 1000.0, 1.0, contributors=10)

    @pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf, -np.inf])
    def test_the_first_value_beyond_its_bound_is_found(self, value):
        values = np.zeros((3, 4))
        values[1, 3] = 4.0
        assert first_beyond(values, np.array([1.0, 5.0])) is None
        values[2, 2] = value
        assert first_beyond(values, np.array([1.0, 5.0])) == (2, 2)
