"""What users read from rows of several kinds of columns."""

import numpy as np
import pytest
from fedmf_ray.learning.rows import Items, RowLayout, item_columns, user_side

from fedmf_ray.fixed_point import FixedPoint, first_beyond
from fedmf_ray.protocol.terms import column_grids

FULL = RowLayout(2, bias=True, raters=True, prior=(4.0, 0.5))
ROWS = np.array([[0.5, -0.5, 0.1, 3.0, 2.0], [0.25, 0.0, 0.2, 0.0, 0.0]])


def test_columns_are_read_by_name():
    plain = Items.read(ROWS[:, :3], RowLayout(2, bias=True), min_raters=1, counted=False)
    assert plain.vectors.tolist() == [[0.5, -0.5, 1.0, 0.1], [0.25, 0.0, 1.0, 0.2]]
    assert plain.curvature is None
    assert Items.read(ROWS, FULL, min_raters=1, counted=False).raters is None
    items = Items.read(ROWS, FULL, min_raters=1, counted=True)
    assert items.curvature.tolist() == [3.0, 0.0]
    assert items.raters.tolist() == [2.0, 0.0]


def test_sums_over_raters_are_divided_when_they_are_read():
    """By (n + c) / (1 + c): two raters, against 4 for the factors and 0.5 for the bias."""
    weights = FULL.weights(np.array([2.0, 0.0, 1.0]))
    assert weights == pytest.approx(np.array([[6 / 5] * 2 + [2.5 / 1.5], [4 / 5] * 2 + [0.5 / 1.5], [1] * 3]))
    items = Items.read(ROWS, FULL, min_raters=1, counted=True)
    assert items.vectors[0].tolist() == pytest.approx([0.5 * 5 / 6, -0.5 * 5 / 6, 1.0, 0.1 * 1.5 / 2.5])


@pytest.mark.parametrize(("least", "learned"), [(1, None), (2, [True, False]), (3, [False, False])])
def test_rows_with_too_few_raters_predict_nothing(least, learned):
    items = Items.read(ROWS, FULL, min_raters=least, counted=True)
    assert (None if items.learned is None else items.learned.tolist()) == learned
    silent = ROWS[:, -1] < least
    assert (items.vectors[silent][:, [0, 1, 3]] == 0).all()
    read = ROWS[:, :3] / FULL.weights(ROWS[:, -1])
    assert (items.vectors[~silent][:, [0, 1, 3]] == read[~silent]).all()
    assert (items.vectors[:, 2] == 1).all()


def test_factors_alone_are_the_matrix_itself():
    matrix = np.arange(6.0).reshape(3, 2)
    items = Items.read(matrix, RowLayout(2), min_raters=1, counted=True)
    assert items.vectors is matrix or np.shares_memory(items.vectors, matrix)
    assert items.learned is None
    assert user_side(matrix, RowLayout(2)) is matrix
    assert item_columns(matrix, RowLayout(2)) is matrix


def test_sides_multiply_to_the_prediction():
    user = user_side(np.array([[2.0, 1.0, 0.25]]), FULL)
    items = Items.read(ROWS[:, :3], RowLayout(2, bias=True), min_raters=1, counted=False)
    assert (items.vectors @ user[0]).tolist() == [2 * 0.5 - 0.5 + 0.25 + 0.1, 0.5 + 0.25 + 0.2]


class TestGrids:
    def test_counts_and_curvatures_have_bounds_and_fractions_of_their_own(self):
        grid = column_grids(FULL, FixedPoint(20, 16, 1.5, contributors=610))
        values = np.array([[0.3, -15.9, 1001.2, 9000.004, 610.0]])
        back = grid.to_floats(grid.to_integers(values))
        assert (np.abs(back - values) <= [2**-21] * 2 + [2**-10, 2**-8, 0]).all()
        largest = [16 * 614 / 5] * 2 + [16 * 610.5 / 1.5]  # what stands for 16 with 610 raters
        assert grid.value_bounds.tolist() == pytest.approx([*largest, 610 * 16, 610])
        assert grid.update_bounds.tolist() == [1.5, 1.5, 1.5, 16, 1]
        assert grid.slot_bits == grid.parts[0][1].slot_bits == 33  # the other columns cost no width

    def test_wide_arrays_repeat_the_columns(self):
        grid = column_grids(FULL, FixedPoint(20, 16, 1, contributors=3))
        once = np.array([[0.5, -2.0, 1.0, 3.75, 2.0]])
        assert np.array_equal(grid.to_integers(np.tile(once, 3)), np.tile(grid.to_integers(once), 3))
        assert np.array_equal(grid.to_floats(grid.to_integers(np.tile(once, 3))), np.tile(once, 3))

    def test_only_factors_leave_one_grid(self):
        point = FixedPoint(20, 16, 1, contributors=3)
        assert column_grids(RowLayout(7), point) is point

    @pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf, -np.inf])
    def test_the_first_value_beyond_its_bound_is_found(self, value):
        values = np.zeros((3, 4))
        values[1, 3] = 4.0
        assert first_beyond(values, np.array([1.0, 5.0])) is None
        values[2, 2] = value
        assert first_beyond(values, np.array([1.0, 5.0])) == (2, 2)
