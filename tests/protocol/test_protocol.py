"""FedMF without Ray: exactness across schemes, uploads and orders; the oracle; bounds."""

import itertools

import numpy as np
import pytest

from fedmf_ray.errors import DivergenceError
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.start import initial_items, initial_user
from fedmf_ray.protocol.items import encrypt_items, initial_tables, open_tables, read_share
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.protocol.user import Users
from fedmf_ray.reference import fedmf
from fedmf_ray.schemes import IN_THE_CLEAR
from tests.support.small_protocol import FACTORS, ITEMS, USERS, Federation, agreed_terms, people, train

UPLOADS = {"full text": (0.0, 1), "rows together": (0.0, 4), "decoys": (0.3, 1), "part text": (1.0, 1)}
"""Sparsity, and rows per block."""


@pytest.mark.parametrize("rule", ["sequential", "batch"])
@pytest.mark.parametrize("uploads", UPLOADS)
def test_all_schemes_give_the_same_bits_in_every_round(rule, uploads):
    terms = agreed_terms(rule, *UPLOADS[uploads])
    plain = train("plain", terms)
    assert np.ptp(plain, axis=0).max() > 0.01  # something was learnt
    assert np.array_equal(train("packed", terms), plain)
    if uploads == "part text" or (rule, uploads) == ("batch", "rows together"):  # the rest takes seconds
        assert np.array_equal(train("elementwise", terms, rounds=2), plain[:2])


@pytest.mark.parametrize("rule", ["sequential", "batch"])
def test_full_text_part_text_and_decoys_learn_the_same(rule):
    part = train("plain", agreed_terms(rule, 1.0))
    for sparsity, rows in [(0.0, 1), (0.0, 2), (0.5, 1)]:
        assert np.array_equal(train("plain", agreed_terms(rule, sparsity, rows)), part)


SPLITS = [(2, 1, False), (3, 2, False), (1, 4, True), (3, 2, True)]
"""Servers, readers, and whether uploads are combined before they reach a server."""


@pytest.mark.parametrize(
    ("scheme", "uploads", "splits"),
    [
        *itertools.product(["plain", "packed"], ["rows together", "decoys", "part text"], [SPLITS]),
        ("elementwise", "part text", SPLITS[-1:]),
        *itertools.product(["masked", "committee"], ["decoys", "part text"], [SPLITS]),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} ways",
)
def test_servers_readers_and_combiners_change_no_bit(scheme, uploads, splits):
    sparsity, rows = UPLOADS[uploads]
    expected = train("plain", agreed_terms(sparsity=sparsity, rows=rows), rounds=2)
    for servers, parts, combine in splits:
        terms = agreed_terms(sparsity=sparsity, rows=rows, servers=servers)
        assert np.array_equal(train(scheme, terms, rounds=2, parts=parts, combine=combine), expected)


def test_order_of_arrival_does_not_matter():
    terms = agreed_terms()
    expected = train("packed", terms)
    assert np.array_equal(train("packed", terms, arrival=lambda uploads: uploads[::-1]), expected)
    orders = itertools.cycle(np.random.default_rng(1).permutation(USERS) for _ in range(3))
    assert np.array_equal(
        train("packed", terms, arrival=lambda uploads: [uploads[i] for i in next(orders)]), expected
    )


@pytest.mark.parametrize("rule", ["sequential", "batch"])
@pytest.mark.parametrize("part_text", [True, False])
def test_agrees_with_the_reference_page(rule, part_text):
    users = list(people())
    _, expected = fedmf(
        [(user.items, user.values) for user in users],
        np.stack([initial_user("normal", 0.3, user.user_id, FACTORS, 3) for user in users]),
        initial_items("normal", 0.3, ITEMS, FACTORS, 3),
        rounds=2,
        rule=rule,
        part_text=part_text,
        learning_rate=0.02,
        reg_user=0.01,
        reg_item=0.01,
    )
    ours = train("packed", agreed_terms(rule, 1.0 if part_text else 0.0), rounds=2)
    assert np.array_equal(ours[-1], expected)


class TestRowsThatAreUploaded:
    @pytest.mark.parametrize(
        ("rated", "items", "sparsity", "count"),
        [
            (3, 40, 0.0, 40),
            (3, 40, 1.0, 3),
            (3, 40, 0.7, 12),
            (20, 40, 0.7, 20),
            (3, 40, 0.99, 3),
            (1, 9, 0.5, 5),
        ],
    )
    def test_the_dial_follows_its_formula(self, rated, items, sparsity, count):
        assert uploaded_count(rated, items, sparsity) == count

    def test_decoys_are_the_same_in_every_round_and_carry_nothing(self):
        (ratings,) = people(users=1)
        federation = Federation("plain", agreed_terms(sparsity=0.3), [ratings])
        federation.play()
        federation.play()
        (_, [[first]]), (_, [[second]]) = federation.past
        assert np.array_equal(first.blocks, second.blocks)
        assert len(first.blocks) == 7
        decoys = ~np.isin(first.blocks, ratings.items)
        for upload in (first, second):
            integers = federation.key.decrypt(upload.ciphertexts)
            assert not integers[decoys].any()
            assert integers[~decoys].any(axis=1).all()


class TestDivergence:
    def test_a_step_over_its_bound_names_user_item_and_setting(self):
        terms = agreed_terms(update_bound=1e-4)
        users = Users(list(people()), terms)
        items = terms.rule.read(initial_tables(terms), terms.setting, counted=True)
        with pytest.raises(
            DivergenceError,
            match=r"user \d, item \d?0 \(up to 0.09.*: 0.1024 would do\): a step is over .*bound 0.0001",
        ):
            users.update(0, USERS, items, terms, 0)

    def test_an_item_over_its_bound_is_found_on_opening(self):
        wide, narrow = agreed_terms(), agreed_terms(value_bound=0.5)
        _, key = IN_THE_CLEAR.sides(wide.blocks.shape)
        matrix = np.zeros((ITEMS, FACTORS))
        matrix[4, 2] = 0.6
        shares = [read_share(encrypt_items([matrix], key, wide), 0, 1, key, narrow)]
        with pytest.raises(
            DivergenceError,
            match=r"item 40 \(up to 0.6: 1 would do\): a value is over .*value_bound 0.5: raise it",
        ):
            open_tables(shares, narrow)

    @pytest.mark.parametrize("rule", ["sequential", "batch"])
    def test_a_learning_rate_that_explodes_ends_with_an_error_not_with_nan(self, rule):
        with pytest.raises(DivergenceError, match="learning_rate"):
            train("plain", agreed_terms(rule, steps=Steps(50.0, 0, 0)), rounds=30)

    def test_an_initial_matrix_over_its_bound_is_refused(self):
        terms = agreed_terms(value_bound=0.5)
        _, key = IN_THE_CLEAR.sides(terms.blocks.shape)
        with pytest.raises(DivergenceError, match="init_scale"):
            encrypt_items([np.full((ITEMS, FACTORS), 0.6)], key, terms)
