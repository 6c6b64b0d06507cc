"""What every scheme must do.

class TestMasked(SchemeTests):
    scheme = Masked(committee=3)
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from fedmf_ray.schemes.base import Aggregate, Closed, Evaluator, KeyHolder, Rows, Scheme, Shape, Wire
from fedmf_ray.schemes.claims import refuted
from fedmf_ray.schemes.messages import EncryptedItems
from fedmf_ray.schemes.sides import Piece
from fedmf_ray.schemes.tags import INITIAL, PlaintextAuthenticator

Integers = NDArray[np.int64]
Sides = tuple[Evaluator, KeyHolder]

_BITS = 26
_HALF = 1 << (_BITS - 1)


class SchemeTests:
    """For any scheme. Choose its smallest keys: some hundred rows are protected."""

    scheme: ClassVar[Scheme]
    shape: ClassVar[Shape] = Shape(columns=5, value_bits=_BITS)
    _sides: ClassVar[Sides]

    def malformed(self, evaluator: Evaluator, wire: Wire) -> Sequence[Wire]:
        """Copies of protected rows, (rows, pieces, bytes), that the server must refuse."""
        return []

    @pytest.fixture
    def sides(self) -> Sides:
        """Made once per class: keys may take long."""
        if "_sides" not in type(self).__dict__:
            type(self)._sides = self.scheme.sides(self.shape)
        return self._sides

    def test_it_is_a_value_with_a_name(self) -> None:
        scheme = self.scheme
        assert hasattr(scheme, "__dataclass_fields__"), "is not a dataclass"
        assert pickle.loads(pickle.dumps(scheme)) == scheme
        for text in (scheme.name, scheme.label, scheme.warning() or "-", *scheme.notes()):
            assert text
            assert "\n" not in text

    @pytest.mark.parametrize("rows", [0, 1, 9])
    def test_it_decrypts_what_was_encrypted(self, sides: Sides, rows: int) -> None:
        _, key = sides
        integers = self._rows(rows, rows)
        read = key.decrypt(key.encrypt(integers))
        assert read.dtype == np.int64
        assert np.array_equal(read, integers)

    def test_it_holds_all_values_of_its_bits(self, sides: Sides) -> None:
        _, key = sides
        edges = [-_HALF, _HALF - 1, 0, -1, 1]
        integers = np.array([edges, edges[::-1]])
        assert np.array_equal(key.decrypt(key.encrypt(integers)), integers)

    def test_it_adds_exactly_in_any_order(self, sides: Sides) -> None:
        """Up to the largest sums that fit, and down to the smallest."""
        evaluator, key = sides
        start = np.array([[_HALF - 1 - 2000] * 5, [-_HALF + 2000] * 5])
        parts = [np.array([[at] * 5, [-at] * 5]) for at in (1001, 900, 99)]
        uploads = [key.encrypt(part) for part in parts]
        for order in itertools.permutations(range(3)):
            total = evaluator.aggregate(key.encrypt(start))
            for at in order:
                total.add(np.arange(2), uploads[at])
            assert np.array_equal(self._read(key, total), start + sum(parts))

    def test_it_adds_to_the_rows_that_it_is_given(self, sides: Sides) -> None:
        evaluator, key = sides
        start, part = self._rows(1, 4), self._rows(2, 2)
        total = evaluator.aggregate(key.encrypt(start))
        total.add(np.array([3, 1]), key.encrypt(part))
        total.add(np.array([], np.int64), key.encrypt(part)[:0])
        start[[3, 1]] += part
        assert np.array_equal(self._read(key, total), start)

    def test_a_published_sum_can_be_added_to(self, sides: Sides) -> None:
        evaluator, key = sides
        part = self._rows(3, 2)
        wire = key.encrypt(part)
        total = evaluator.aggregate(wire)
        for times in (2, 3):
            total.add(np.arange(2), key.encrypt(part))
            wire = self._published(key, total)
            assert np.array_equal(key.decrypt(wire), times * part)
        total = evaluator.aggregate(wire)
        total.add(np.array([1]), key.encrypt(part[1:]))
        assert np.array_equal(self._read(key, total), [3 * part[0], 4 * part[1]])

    def test_sums_start_from_zeros_that_anybody_can_make(self, sides: Sides) -> None:
        evaluator, key = sides
        part = self._rows(4, 2)
        wire = key.encrypt(part)
        zeros = evaluator.zeros((3, *wire.shape[1:]))
        assert zeros.dtype == np.uint8
        assert not key.decrypt(zeros).any()
        total = evaluator.aggregate(zeros)
        total.add(np.array([2, 0]), wire)
        assert np.array_equal(self._read(key, total), [part[1], 0 * part[0], part[0]])

    def test_what_is_taken_out_again_leaves_no_bit_behind(self, sides: Sides) -> None:
        evaluator, key = sides
        start, upload = key.encrypt(self._rows(5, 3)), key.encrypt(self._rows(6, 2))
        total = evaluator.aggregate(start)
        for wire in (upload, evaluator.negate(upload)):
            assert wire.shape == upload.shape
            total.add(np.array([1, 2]), wire)
        assert np.array_equal(total.wire(), start)

    @pytest.mark.parametrize("columns", [1, 5, 40])
    def test_all_rows_are_as_wide_as_it_says(self, columns: int) -> None:
        shape = Shape(columns, _BITS)
        evaluator, key = self.scheme.sides(shape)
        for integers in (np.zeros((2, columns), np.int64), np.full((2, columns), -_HALF)):
            wire = key.encrypt(integers)
            assert wire.dtype == np.uint8
            assert wire.ndim == 3
            assert len(wire) == 2
            assert wire[0].nbytes == self.scheme.block_bytes(shape)
            total = evaluator.aggregate(wire)
            assert self._published(key, total).shape == wire.shape

    def test_nothing_is_added_if_anything_is_malformed(self, sides: Sides) -> None:
        evaluator, key = sides
        start, upload = key.encrypt(self._rows(7, 3)), key.encrypt(self._rows(8, 3))
        total = evaluator.aggregate(start)
        for bad in self.malformed(evaluator, upload):
            with pytest.raises(ValueError) as refused:  # noqa: PT011
                total.add(np.arange(3), bad)
            assert str(refused.value)
            assert "\n" not in str(refused.value)
        assert np.array_equal(total.wire(), start)

    def test_both_sides_travel(self, sides: Sides) -> None:
        """Separately, as they do."""
        evaluator, key = (pickle.loads(pickle.dumps(side)) for side in sides)
        integers = self._rows(9, 2)
        total = evaluator.aggregate(sides[1].encrypt(integers))
        total.add(np.arange(2), key.encrypt(integers))
        assert np.array_equal(self._read(sides[1], total), 2 * integers)

    def test_its_secrets_make_the_same_sides_again(self, sides: Sides) -> None:
        """From a file of arrays."""
        _, key = sides
        file = io.BytesIO()
        arrays: dict[str, Any] = dict(key.secrets())
        np.savez(file, **arrays)
        file.seek(0)
        with np.load(file, allow_pickle=False) as saved:
            again, restored = self.scheme.sides(self.shape, dict(saved))
        integers = self._rows(10, 2)
        total = again.aggregate(key.encrypt(integers))
        total.add(np.arange(2), restored.encrypt(integers))
        assert np.array_equal(self._read(restored, total), 2 * integers)
        assert (key.authenticator is None) == (restored.authenticator is None)
        if key.authenticator is not None:
            blocks, wire = np.arange(2), key.encrypt(integers)
            assert restored.weigh(blocks, integers, wire) == key.weigh(blocks, integers, wire)

    def test_other_secrets_are_no_use(self, sides: Sides) -> None:
        """Unless it hides nothing."""
        if not sides[1].secrets():
            return
        _, stranger = self.scheme.sides(self.shape)
        integers = self._rows(11, 2)
        try:
            read = stranger.decrypt(sides[1].encrypt(integers))
        except (OverflowError, ValueError):
            return
        assert not np.array_equal(read, integers)

    def test_tags_add_up_and_are_as_wide_as_it_says(self, sides: Sides) -> None:
        evaluator, key = sides
        tagged = key.authenticator
        if tagged is None:
            assert key.keeps_heads == (self.scheme.tag_bytes() > 0), "tags that nobody checks"
            return

        def protected(user_id: int, number: int, blocks: Integers) -> tuple[Wire, Wire]:
            rows = self._rows(20 + user_id, len(blocks)) // 2
            piece = Piece(user_id, 0, 0, len(blocks))
            wire, (tag,) = key.protect(number, rows, blocks, [piece], {}, False)
            assert user_id == INITIAL or tag.nbytes == self.scheme.tag_bytes()
            return wire, tag

        wire, tag = protected(INITIAL, INITIAL, np.arange(3))
        total, tags = evaluator.aggregate(wire), evaluator.tags(tag)
        for user_id, rows in ((7, [0, 2]), (9, [1]), (8, [0, 1])):
            wire, tag = protected(user_id, 0, np.array(rows))
            total.add(np.array(rows), wire)
            tags.add(user_id, tag)
        total.add(np.array([0, 1]), evaluator.negate(wire))
        tags.remove(8, tag)
        credited = np.array([7, 9])
        if self.scheme.opens:
            (opening,) = key.open([Closed(0, 0, credited, total.closing(), tags.closing())])
            total.open(opening.sums)
            tags.open(opening.tags)
        message = EncryptedItems(1, 0, total.wire(), tags.end(), credited)
        pads, blocks = tagged.pads(message, slice(None)), np.arange(3)
        wires = message.ciphertexts, np.concatenate([message.ciphertexts[:2], total.wire()[:1]])
        numbers = [
            tagged.join([*tagged.start([0]), pads, key.weigh(blocks, key.decrypt(one), one)]) for one in wires
        ]
        assert tagged.read(message) == numbers[0] != numbers[1]

    def test_plaintexts_are_what_tags_are_made_of(self, sides: Sides) -> None:
        """As many for each row, and those of sums are sums. For tags of plaintexts."""
        _, key = sides
        if not isinstance(key.authenticator, PlaintextAuthenticator):
            return
        one, other = self._rows(13, 3) // 2, self._rows(14, 3) // 2
        plaintexts = [key.plaintexts(integers) for integers in (one, other, one + other)]
        assert len(plaintexts[0]) % 3 == 0
        assert [a + b for a, b in zip(*plaintexts[:2], strict=True)] == plaintexts[2]

    @pytest.mark.parametrize("full_text", [True, False])
    @pytest.mark.parametrize("width", [1, 10, 100])
    def test_it_lays_rows_out_consistently(self, width: int, full_text: bool) -> None:
        scheme, rows = self.scheme, Rows(50, width, _BITS, most=7, full_text=full_text)
        each = scheme.rows_per_block(rows)
        assert 1 <= each <= rows.most
        assert scheme.pieces(rows.shape(each)) >= 1
        assert scheme.total_pieces(rows) == -(-rows.items // each) * scheme.pieces(rows.shape(each))
        alone = Rows(50, width, _BITS, most=1, full_text=full_text)
        assert scheme.rows_per_block(alone) == 1
        layout = scheme.layout(rows)
        assert layout
        assert "\n" not in layout
        assert 1 <= scheme.unit_width(width) <= width
        few, many = scheme.unit_rows
        assert 1 <= few < many
        assert scheme.memory_bytes() >= 0

    def test_sums_can_be_opened_again_by_whoever_takes_over(self, sides: Sides) -> None:
        """Only for schemes that say ``opens``."""
        if not self.scheme.opens:
            return
        evaluator, key = sides
        _, other = self.scheme.sides(self.shape, key.secrets())
        integers = self._rows(15, 2)
        total = evaluator.aggregate(key.encrypt(integers))
        total.add(np.arange(2), key.encrypt(integers))
        closed = [Closed(3, 0, np.array([1]), total.closing())]
        openings = [holder.open(closed)[0] for holder in (key, other)]
        assert [(one.round, one.first) for one in openings] == [(3, 0)] * 2
        total.open(openings[1].sums)
        assert np.array_equal(key.decrypt(total.wire()), 2 * integers)

    def test_its_server_reads_no_more_than_it_claims(self) -> None:
        assert refuted(self.scheme) is None

    def _rows(self, seed: int, rows: int) -> Integers:
        """A quarter of what fits."""
        random = np.random.default_rng(seed)
        return random.integers(-_HALF // 4, _HALF // 4, (rows, self.shape.columns))

    def _published(self, key: KeyHolder, total: Aggregate) -> Wire:
        """What a server gives to users, once it has been opened if need be."""
        if self.scheme.opens:
            (opening,) = key.open([Closed(0, 0, np.array([1]), total.closing())])
            total.open(opening.sums)
        return total.wire()

    def _read(self, key: KeyHolder, total: Aggregate) -> Integers:
        return key.decrypt(self._published(key, total))
