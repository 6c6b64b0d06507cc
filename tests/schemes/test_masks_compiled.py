"""What is compiled under masks gives NumPy's bytes, at edge values, too."""

import numpy as np
import pytest

from fedmf_ray.schemes import Shape
from fedmf_ray.schemes.masked import compiled, field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.weights import Weights

pytestmark = pytest.mark.skipif(not compiled.available(), reason="the extension was not built")

SHAPES = [
    (1, 2),
    (3, 64),
    (5, 26),
    (8, 32),
    (9, 33),
    (16, 8),
    (17, 15),
    (31, 23),
    (40, 47),
    (100, 24),
    (7, 63),
]


@pytest.fixture
def numpys(monkeypatch):
    """Calls something on the NumPy path."""

    def call(work):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "_NATIVE", None)
            return work()

    return call


def values_of(rng, columns, bits, rows=37):
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    values = rng.integers(low, high, (rows, columns), np.int64, endpoint=True)
    values[0], values[1], values[2] = low, high, 0
    return values


@pytest.mark.parametrize(("columns", "bits"), SHAPES)
def test_rows(numpys, columns, bits):
    rng, layout = np.random.default_rng(bits), BitLayout(columns, bits)
    values = values_of(rng, columns, bits)
    wide = rng.integers(0, 1 << 8 * layout.word.itemsize, (37, columns + 3), np.uint64).astype(layout.word)
    masks = wide[:, :columns]  # as AES gives them: more than a row needs

    def protected():
        out = np.zeros((37, 13 + layout.row_bytes), np.uint8)
        layout.pack_sum(masks.copy(), values, out[:, 13:])
        return out

    wire = protected()
    assert np.array_equal(wire, numpys(protected))
    packed = wire[:, 13:]
    words = layout.unpack(packed)
    assert np.array_equal(words, numpys(lambda: layout.unpack(packed)))
    assert np.array_equal(layout.opened(packed, masks), values)
    assert np.array_equal(numpys(lambda: layout.opened(packed, masks)), values)
    again = np.empty((37, layout.row_bytes), np.uint8)
    layout.pack(words, again)
    assert np.array_equal(again, packed)
    targets = rng.integers(0, 4, 37)
    sums, expected = np.zeros((2, 4, columns), layout.word)
    assert layout.add_to(sums, targets, packed)
    np.add.at(expected, targets, words)
    assert np.array_equal(sums, expected)
    assert compiled.take_off(sums, targets, masks)
    np.subtract.at(expected, targets, masks)
    assert np.array_equal(sums, expected)


@pytest.mark.parametrize(("columns", "bits"), SHAPES)
def test_numbers(numpys, columns, bits):
    rng = np.random.default_rng(bits)
    values, blocks = values_of(rng, columns, bits), rng.integers(0, 50, 37)
    weights = Weights(bytes(32), "a test", Shape(columns, bits))
    pads = rng.integers(0, 256, (37, 16)).astype(np.uint8)
    pads[0], pads[1] = 255, 0
    weights._extend(blocks)
    # p - 1, p itself (which is none of the numbers that are drawn, and zero), halves, powers of two
    for at, number in enumerate([field.P - 1, field.P, (1 << 126) - 1, 1 << 126, 0, 1, 1 << 63, 1 << 64]):
        weights._rows[at] = np.frombuffer(number.to_bytes(16, "little"), np.uint8)
        if at < columns:
            weights._columns[at] = weights._rows[at]
    cuts = [(0, 37), (0, 0), (3, 4), (5, 30)]

    def numbers():
        return weights.numbers(blocks, values, cuts), weights.seals(values, pads)

    (found, seals), (expected, right) = numbers(), numpys(numbers)
    assert [number % field.P for number in found] == [number % field.P for number in expected]
    assert all(0 <= number < field.P for number in found)
    assert np.array_equal(seals, right)


def test_totals(numpys):
    numbers = np.random.default_rng(0).integers(0, 256, (50, 16)).astype(np.uint8)
    numbers[:20] = 255
    cuts = [(0, 50), (0, 20), (7, 7), (20, 21)]
    assert field.totals(numbers, cuts) == numpys(lambda: field.totals(numbers, cuts))


@pytest.mark.parametrize("count", [0, 1, 2, 98, 3000])
def test_nonces_that_come_twice(numpys, count):
    nonces = np.random.default_rng(count).integers(0, 256, (count, 12)).astype(np.uint8)
    counted = wires.counted_nonces(np.full(12, 7, np.uint8), count)
    for some in (nonces, counted):
        assert not wires.repeated(some)
        if count > 1:
            twice = some.copy()
            twice[-1] = twice[0]
            assert wires.repeated(twice)
            assert numpys(lambda twice=twice: wires.repeated(twice))


def test_arrays_that_do_not_fit_are_refused():
    """Nothing is read or written beyond them."""
    native, layout = compiled._NATIVE, BitLayout(5, 26)
    words, packed = np.zeros((3, 5), np.uint32), np.zeros((3, layout.row_bytes), np.uint8)
    integers, numbers = np.zeros((3, 5), np.int64), np.zeros((5, 16), np.uint8)
    below, beyond = np.array([0, 1, -1]), np.array([0, 1, 3])

    def weigh(blocks, *cut):
        native.weigh(integers, numbers, numbers, np.array(blocks), np.array(cut), bytearray(16), 26)

    for call in (
        lambda: native.pack(words, None, packed[:2], 26),
        lambda: native.pack(words, None, packed, 33),
        lambda: native.pack(words, None, packed, 25),
        lambda: native.pack(words, integers[:, :4], packed, 26),
        lambda: native.pack(words.T, None, packed, 26),
        lambda: native.unpack(packed, words[:2], None, 26),
        lambda: native.unpack(packed, words, beyond, 26),
        lambda: native.unpack(packed, words, below, 26),
        lambda: native.open_rows(packed, words[:2], integers, 26),
        lambda: native.take_off(words, words, beyond),
        lambda: native.take_off(words, words, beyond[:2]),
        lambda: native.row_sums(integers, numbers[:4], numbers[:3], numbers[:3].copy(), 26),
        lambda: native.row_sums(integers, numbers, numbers[:2], numbers[:3].copy(), 26),
        lambda: native.row_sums(integers, numbers, numbers[:3], numbers[:3].copy(), 64),
        lambda: weigh([0, 5, 1], 0, 3),
        lambda: weigh([0, 4, 1], 0, 4),
        lambda: weigh([0, 4, 1], 2, 1),
        lambda: native.totals(numbers, np.array([0, 6]), bytearray(16)),
        lambda: native.counters(numbers[0], bytearray(64), 4),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="do not fit each other|not an array of contiguous rows"):
            call()
