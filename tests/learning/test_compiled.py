"""Compiled code has the bits of the NumPy path, and refuses arrays that do not fit each other."""

import numpy as np
import pytest

from fedmf_ray.fixed_point import to_integers
from fedmf_ray.learning import compiled, metrics
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.items import Items, item_side, user_side
from fedmf_ray.learning.rules import gradient, ridge_steps

pytestmark = pytest.mark.skipif(not compiled.available(), reason="the extension was not built")

STEPS = Steps(0.0, 25.0, 5.0, 4.0, 3.0, mean=3.5)
COUNTS = (1, 3, 40, 128, 129, 700, 0, 2)


def sample(factors, bias, counted=True):
    random = np.random.default_rng(factors)
    values = random.normal(size=(90, factors + bias)) * 10.0 ** random.integers(-3, 1, (90, 1))
    columns = {ridge_steps.CURVATURE: np.abs(random.normal(size=(90, 1))) * random.integers(0, 2, (90, 1))}
    raters = random.integers(1, 40, 90).astype(float) if counted else None
    items = Items(item_side(values, factors, bias), raters, columns=columns)
    users = [(random.integers(0, 90, count), random.normal(size=count)) for count in COUNTS]
    return items, RatingBlock.of(users), random


def both(monkeypatch, call):
    native = call()
    monkeypatch.setattr(compiled, "_NATIVE", None)
    return native, call()


@pytest.mark.parametrize(
    ("factors", "bias"), [(1, False), (1, True), (5, True), (8, False), (30, True), (140, True)]
)
def test_users_solve_for_the_same_bits(monkeypatch, factors, bias):
    items, block, _ = sample(factors, bias)
    native, numpy = both(monkeypatch, lambda: ridge_steps.refit(items, block, STEPS, bias))
    assert np.array_equal(native, numpy)
    assert np.abs(native).max() > 0


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("factors", "bias"), [(1, False), (5, True), (8, False), (30, True), (140, True)])
def test_items_take_the_same_steps(monkeypatch, factors, bias, counted):
    items, block, random = sample(factors, bias, counted)
    vectors = random.normal(size=(len(COUNTS), factors + bias)) * random.integers(0, 9, (len(COUNTS), 1))
    now = ridge_steps.curvatures(vectors, factors)
    there = random.integers(0, 2, len(COUNTS)).astype(float)
    raters = ridge_steps.Raters(np.abs(random.normal(size=len(block.items))), there, now)
    sums = ridge_steps.RaterSums(factors, (48.0, 0.75) if bias else (48.0,))
    native, numpy = both(
        monkeypatch, lambda: ridge_steps.item_steps(vectors, items, block, STEPS, raters, sums)
    )
    assert np.array_equal(native, numpy)


@pytest.mark.parametrize(("factors", "bias"), [(1, False), (2, False), (5, True), (100, False), (140, True)])
def test_the_rule_batch_takes_the_same_steps(monkeypatch, factors, bias):
    items, block, random = sample(factors, bias)
    vectors = user_side(random.normal(size=(len(COUNTS), factors + bias)), bias)
    steps = Steps(0.01, 0.1, 0.2, 0.3, 0.4)
    native, numpy = both(
        monkeypatch, lambda: gradient.Batch().step(vectors, items.vectors, block, steps, bias)
    )
    for one, other in zip(native, numpy, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("clip", [None, (-1.0, 0.5)])
@pytest.mark.parametrize("factors", [1, 7, 30, 300])
def test_errors_are_the_same(monkeypatch, factors, clip):
    items, block, random = sample(factors, True)
    vectors = user_side(random.normal(size=(len(COUNTS), factors + 1)), True)
    native, numpy = both(monkeypatch, lambda: metrics.error_sums(vectors, items.vectors, block, block, clip))
    for one, other in zip(native, numpy, strict=True):
        assert np.array_equal(one, other)


def test_numbers_that_are_none_stay_none(monkeypatch):
    """Training that diverges ends with the same message."""
    items, block, random = sample(5, True)
    vectors = random.normal(size=(len(COUNTS), 6))
    vectors[2] = np.nan
    vectors[3] = 1e200
    with np.errstate(all="ignore"):
        now = ridge_steps.curvatures(vectors, 5)
    raters = ridge_steps.Raters(np.zeros(len(block.items)), np.ones(len(COUNTS)), now)
    sums = ridge_steps.RaterSums(5, (48.0, 0.75))
    with np.errstate(all="ignore"):
        native, numpy = both(
            monkeypatch, lambda: ridge_steps.item_steps(vectors, items, block, STEPS, raters, sums)
        )
    assert np.array_equal(native, numpy, equal_nan=True)


def test_rows_are_rounded_to_even_as_numpy_does():
    steps, scale = np.array([[0.5, 1.5], [-0.5, 2.5], [0.25, -1e-3]]), np.array([1.0, 1024.0])
    rows = np.zeros((5, 2), np.int64)
    assert compiled.to_rows(steps, np.array([4, 0, 2]), scale, rows)
    assert np.array_equal(rows[[4, 0, 2]], to_integers(steps, scale))
    assert not rows[[1, 3]].any()


@pytest.mark.parametrize("at", [0, 7, 8, 40])
@pytest.mark.parametrize("beyond", [1.0000000000000002, -1.0000000000000002, np.inf, -np.inf, np.nan])
def test_one_number_beyond_a_bound_is_found_wherever_it_is(at, beyond):
    values = np.full((41, 1), -1.0)
    assert compiled.within(values, 1.0)
    values[at] = beyond
    assert not compiled.within(values, 1.0)


def test_integers_are_numbers_and_no_bits_of_them():
    assert not compiled.within(np.full((3, 2), 10**6), 1.0)
    assert compiled.within(np.full((3, 2), -1), 1.0)


def test_an_item_that_there_is_not_is_an_error_and_no_wild_read():
    items, block, _ = sample(5, False)
    for wrong in (-1, 90):
        block.items[3] = wrong
        with pytest.raises(ValueError, match="do not fit"):
            ridge_steps.refit(items, block, STEPS, False)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.to_rows(np.ones((1, 2)), np.array([5]), np.ones(2), np.zeros((5, 2), np.int64))
