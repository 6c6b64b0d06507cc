"""One contract for all schemes (:mod:`fedmf_ray.testing.schemes`), and what is particular to ciphertexts."""

import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import SCHEMES as REGISTRY
from fedmf_ray.schemes import Committee, Elementwise, Masked, Packed, Plain, Rows, Shape
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier.keys import check_key_bits, key_warning
from fedmf_ray.testing.schemes import SchemeTests
from tests.support.padded_scheme import Padded
from tests.support.small_protocol import sides

SHAPE = Shape(columns=5, value_bits=26)


class TestPlain(SchemeTests):
    scheme = Plain()


class PaillierTests(SchemeTests):
    def malformed(self, evaluator, wire):
        """Zero, n squared, and a number that shares a factor with n, in the last place."""
        n = mpz(evaluator._n if isinstance(self.scheme, Packed) else evaluator._public.n)
        spoiled = []
        for number in (mpz(0), n * n, n):
            bad = wire.copy()
            bad[-1, -1] = paillier.serialise([number], (1, wire.shape[-1] + 1))[0, : wire.shape[-1]]
            spoiled.append(bad)
        return spoiled


class TestElementwise(PaillierTests):
    scheme = Elementwise(1024)


class TestPacked(PaillierTests):
    scheme = Packed(1024)


class TestMasked(SchemeTests):
    scheme = Masked()

    def malformed(self, evaluator, wire):
        """A row that only an opener publishes, one that takes out what nobody added, and a repeated nonce."""
        published, negative, again = (wire.copy() for _ in range(3))
        published[-1, 0, 0] = 2
        negative[:, 0, 0] = 255
        again[0, 0, 1:13] = again[-1, 0, 1:13]
        return [published, negative, again]


class TestCommittee(SchemeTests):
    scheme = Committee()


class TestSmallCommittee(SchemeTests):
    scheme = Committee(members=3, colluding=1)


class TestPadded(SchemeTests):
    """The toy whose sums must be opened: the contract can be kept from outside."""

    scheme = Padded()


def test_the_contract_is_checked_for_every_scheme():
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, SchemeTests)]
    tested = {kind.scheme.name for kind in kinds if hasattr(kind, "scheme")}
    assert set(REGISTRY.names()) <= tested, "derive a class from SchemeTests for it, above"


@pytest.mark.parametrize("rows", [256, 300])
def test_packed_matrices_of_any_height_come_back(rows):
    _, key = sides("packed", SHAPE)
    integers = np.random.default_rng(rows).integers(-(1 << 25), 1 << 25, (rows, 5))
    assert np.array_equal(key.decrypt(key.encrypt(integers)), integers)


@pytest.mark.parametrize("scheme", ["elementwise", "packed"])
@pytest.mark.parametrize("bad", ["zero", "n square", "shares a factor with n"])
def test_a_malformed_ciphertext_is_refused_with_its_reason(scheme, bad):
    evaluator, key = sides(scheme, SHAPE)
    n = mpz(evaluator._n if scheme == "packed" else evaluator._public.n)
    number = {"zero": mpz(0), "n square": n * n, "shares a factor with n": n}[bad]
    wire = key.encrypt(np.ones((2, 5), np.int64)).copy()
    wire[-1, -1] = paillier.serialise([number], (1, wire.shape[-1] + 1))[0, : wire.shape[-1]]
    reason = paillier.NOT_COPRIME if number == n else paillier.OUT_OF_RANGE
    with pytest.raises(ValueError, match=reason.replace("*", r"\*")):
        evaluator.aggregate(wire)


class TestRowsPerBlock:
    """How many rows of the item matrix the packed scheme puts together."""

    def test_in_full_text_the_fewest_ciphertexts_then_the_fewest_rows(self):
        scheme = Packed(1024)  # 39 slots of 26 bits
        assert scheme.rows_per_block(Rows(60, 13, 26, most=60, full_text=True)) == 3
        assert scheme.rows_per_block(Rows(60, 39, 26, most=60, full_text=True)) == 1
        assert scheme.rows_per_block(Rows(60, 20, 26, most=60, full_text=True)) == 5  # so do 7, later
        assert scheme.rows_per_block(Rows(60, 13, 26, most=2, full_text=True)) == 2

    def test_otherwise_as_many_as_fit_one_ciphertext(self):
        scheme = Packed(1024)
        assert scheme.rows_per_block(Rows(60, 13, 26, most=60, full_text=False)) == 3
        assert scheme.rows_per_block(Rows(60, 20, 26, most=60, full_text=False)) == 1
        assert scheme.rows_per_block(Rows(60, 100, 26, most=60, full_text=False)) == 1

    def test_a_slot_that_no_ciphertext_holds_is_refused(self):
        with pytest.raises(FedMFError, match="no slot of 1100 bits fits a key of 1024 bits"):
            Packed(1024).rows_per_block(Rows(60, 13, 1100, most=60, full_text=True))

    def test_schemes_without_slots_keep_rows_apart(self):
        for scheme in (Plain(), Elementwise(1024)):
            assert scheme.rows_per_block(Rows(60, 13, 26, most=60, full_text=True)) == 1

    @pytest.mark.parametrize("scheme", [Plain(), Masked(), Committee()], ids=lambda scheme: scheme.name)
    @pytest.mark.parametrize(
        ("width", "most", "full_text", "shared", "expected"),
        [
            (1, 59_047, False, 500_500, 977),  # 513 blocks of pairs
            (1, 59_047, False, 59_048, 256),
            (1, 59_047, False, 59_047, 1),  # most of what is uploaded is item rows
            (1, 59_047, True, 1, 256),
            (1, 59_047, True, 10**8, 4096),
            (1, 100, False, 500_500, 100),
            (30, 59_047, True, 500_500, 32),
            (300, 59_047, True, 5000, 1),
            (1, 59_047, True, 0, 1),
        ],
    )
    def test_unless_shared_tables_are_most_of_what_users_upload(
        self, scheme, width, most, full_text, shared, expected
    ):
        rows = Rows(59_047, width, 26, most, full_text, shared)
        assert scheme.rows_per_block(rows) == expected
        told = "per row" if expected == 1 else f"per {expected:,} rows"
        assert f"{scheme.block_bytes(rows.shape(expected)):,} bytes {told}" in scheme.layout(rows) or (
            scheme.name == "plain"
        )


def test_small_keys_are_refused_and_weak_ones_warned_about():
    with pytest.raises(FedMFError, match="512"):
        check_key_bits(512)
    with pytest.raises(FedMFError, match="512"):
        Packed(512)
    assert "1024" in (key_warning(1024) or "")
    assert Packed(1024).warning() == key_warning(1024)
    assert key_warning(2048) is None
