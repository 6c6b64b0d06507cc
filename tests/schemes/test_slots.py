"""Packing: what goes in comes out, sums included, and nothing overflows in silence."""

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import LARGEST_SLOT_BITS, FixedPoint, to_floats, to_integers
from fedmf_ray.schemes.paillier.ciphertexts import parse, serialise
from fedmf_ray.schemes.paillier.slots import SlotLayout

key_bits = st.sampled_from([128, 1024, 2048, 3072])
layouts = st.builds(SlotLayout, st.integers(2, LARGEST_SLOT_BITS), st.integers(1, 150), key_bits)


def plaintexts_of(layout, rows):
    """Signed plaintexts, row by row."""
    return [m - layout.offsets[at % len(layout.offsets)] for at, m in enumerate(parse(layout.encode(rows)))]


def packed(layout, plaintexts):
    """Undo :func:`plaintexts_of`, as far as the packed form goes."""
    shifted = [mpz(m) + layout.offsets[at % len(layout.offsets)] for at, m in enumerate(plaintexts)]
    return serialise(
        shifted, (len(plaintexts) // len(layout.offsets), len(layout.offsets), layout.plaintext_bytes)
    )


@st.composite
def layout_and_rows(draw):
    layout = draw(layouts)
    half = 1 << (layout.slot_bits - 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = rng.integers(-half, half, (draw(st.integers(1, 5)), layout.columns))
    rows.flat[0], rows.flat[-1] = -half, half - 1
    return layout, rows


@given(layout_and_rows())
def test_decode_undoes_encode_for_every_width(case):
    layout, rows = case
    encoded = layout.encode(rows)
    assert encoded.shape == (len(rows), layout.ciphertexts_per_row, layout.key_bits // 8)
    assert np.array_equal(layout.decode(encoded), rows)


@given(layout_and_rows())
def test_plaintexts_stay_within_half_of_the_smallest_modulus(case):
    layout, rows = case
    half = 1 << (layout.slot_bits - 1)
    for extreme in (np.full_like(rows, -half), np.full_like(rows, half - 1), rows):
        assert all(2 * abs(m) < 1 << (layout.key_bits - 1) for m in plaintexts_of(layout, extreme))


@given(layouts, st.integers(1, 6), st.integers(0, 2**32))
def test_sums_of_plaintexts_are_sums_of_slots(layout, summands, seed):
    reach = max(1, (1 << (layout.slot_bits - 1)) // summands - 1)
    parts = np.random.default_rng(seed).integers(-reach, reach, (summands, 2, layout.columns), endpoint=True)
    if np.abs(parts.sum(0)).max() >= 1 << (layout.slot_bits - 1):
        return
    plaintexts = [plaintexts_of(layout, part) for part in parts]
    sums = [sum(column) for column in zip(*plaintexts, strict=True)]
    assert np.array_equal(layout.decode(packed(layout, sums)), parts.sum(0))


def test_packing_is_the_documented_sum():
    layout = SlotLayout(30, 3, 1024)
    assert plaintexts_of(layout, np.array([[5, -7, 11]])) == [5 - 7 * 2**30 + 11 * 2**60]


@pytest.mark.parametrize(("bits", "ciphertexts"), [(30, 1), (31, 2)])
def test_one_bit_too_many_costs_a_whole_ciphertext(bits, ciphertexts):
    assert SlotLayout(bits, 100, 3072).ciphertexts_per_row == ciphertexts


def test_a_value_wider_than_its_slot_is_refused():
    with pytest.raises(OverflowError, match="8 bits"):
        SlotLayout(8, 2, 1024).encode(np.array([[0, 128]]))


def test_a_sum_that_left_the_plaintext_is_refused():
    layout = SlotLayout(8, 2, 1024)
    top = plaintexts_of(layout, np.array([[0, 127]]))[0]
    with pytest.raises(OverflowError, match="2 slots"):
        layout.decode(packed(layout, [top + top]))


@given(st.floats(-16, 16), st.integers(8, 40))
def test_fixed_point_rounds_to_the_nearest_grid_point(value, bits):
    scale = FixedPoint(bits, 16, 1, 10).scale
    rounded = to_floats(to_integers(np.array([value]), scale), scale)[0]
    assert abs(rounded - value) <= 2.0 ** -(bits + 1)
    assert np.array_equal(to_floats(to_integers(np.array([rounded]), scale), scale), [rounded])


def test_slot_bits_hold_the_worst_sum_and_no_more():
    # 16 + 610 * 0.5 = 321 < 512 = 2**9; one power of two needs a bit more than the values below it.
    assert FixedPoint(20, 16, 0.5, 610).slot_bits == 30
    assert FixedPoint(20, 1, 0.5, 1).slot_bits == 1 + 21
    assert FixedPoint(20, 1, 0.5, 2).slot_bits == 1 + 22


def test_bounds_that_no_slot_fits_are_refused():
    with pytest.raises(FedMFError, match="needs 65 bits"):
        FixedPoint(50, 1000, 1, 10_000)
