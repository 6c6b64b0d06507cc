"""Shared tables, those that stay and those that start from zero in each round, through whole protocols."""

import numpy as np
import pytest

from fedmf_ray.errors import DivergenceError
from fedmf_ray.protocol.items import Ledger, TamperedError, open_tables
from tests.support.moments_rule import MOMENTS, VISITS, Moments, sum_on_grid
from tests.support.small_protocol import USERS, Federation, agreed_terms, train

EVERYBODY = range(USERS)
PRESENCE = [EVERYBODY, [1, 3], [], [4, 0]]


def check_rounds(federation, presence, **how):
    """Sums are those of the users who came, to the last bit."""
    visits = federation.items.shared[VISITS][0, 0]
    for who in presence:
        vectors = federation.users.opened[list(who)].copy()
        federation.play(who, **how)
        visits += len(who)
        assert np.array_equal(federation.items.shared[MOMENTS], sum_on_grid(vectors))
        assert federation.items.shared[VISITS].tolist() == [[visits, 0.0]]


@pytest.mark.parametrize(
    ("scheme", "servers", "combine", "sparsity", "rows"),
    [
        ("plain", 1, False, 1.0, 1),
        ("plain", 4, True, 0.0, 3),
        ("packed", 1, True, 1.0, 1),
        ("packed", 3, False, 0.0, 3),
        ("packed", 5, True, 0.3, 1),
        ("elementwise", 2, True, 1.0, 1),
    ],
)
def test_sums_are_exact_whoever_comes(scheme, servers, combine, sparsity, rows):
    federation = Federation(scheme, agreed_terms(Moments(), sparsity, rows, servers))
    assert not federation.items.shared[MOMENTS].any()
    check_rounds(federation, PRESENCE if scheme != "elementwise" else PRESENCE[:2], parts=2, combine=combine)


def test_what_is_learnt_from_them_is_the_same_under_all_schemes():
    plain = train("plain", agreed_terms(Moments()), rounds=3)
    assert not np.array_equal(plain, train("plain", agreed_terms("batch"), rounds=3))  # they are read
    assert np.array_equal(train("packed", agreed_terms(Moments(), servers=3), rounds=3), plain)
    assert np.array_equal(train("elementwise", agreed_terms(Moments()), rounds=2), plain[:2])


def test_a_server_and_users_take_over_from_what_was_saved():
    federation = Federation("packed", agreed_terms(Moments(), servers=2))
    check_rounds(federation, PRESENCE[:2])
    balance = [int(number) for number in federation.ledger.balance]
    expected = federation.items.shared[MOMENTS]
    federation.start_servers()
    federation.ledger = Ledger(federation.key, federation.terms, balance, federation.round)
    federation.open()
    assert np.array_equal(federation.items.shared[MOMENTS], expected)
    federation.open(parts=3)  # a matrix that is read again changes no balance
    assert federation.ledger.balance == balance
    check_rounds(federation, PRESENCE)


def keep_what_should_start_from_zero(federation):
    """The round before was left with fresh blocks as they were."""
    (server,) = federation.servers
    fresh = federation.terms.blocks.fresh
    server._sum.add(fresh, federation.messages[0].ciphertexts[fresh])


def add_a_fresh_block_twice(federation):
    (server,), (_, uploads) = federation.servers, federation.past[0]
    block, wire = uploads[0][0].blocks[-3:-2], uploads[0][0].ciphertexts[-3:-2]
    assert np.isin(block, federation.terms.blocks.fresh)
    server._sum.add(block, wire)


def start_a_kept_block_from_zero_too(federation):
    (server,) = federation.servers
    kept = federation.terms.blocks.count - 1
    assert kept not in federation.terms.blocks.fresh
    total = server._sum.wire().copy()
    total[kept] = federation.evaluator.zeros(total[kept : kept + 1].shape)[0]
    server._sum = federation.evaluator.aggregate(total)


@pytest.mark.parametrize(
    "trick", [keep_what_should_start_from_zero, add_a_fresh_block_twice, start_a_kept_block_from_zero_too]
)
@pytest.mark.parametrize("honest_rounds", [1, 2])
def test_a_server_that_cheats_with_them_is_noticed(trick, honest_rounds):
    federation = Federation("packed", agreed_terms(Moments()))
    for _ in range(honest_rounds):
        federation.play()
    federation.deliver(federation.uploads())
    trick(federation)
    federation.publish()
    with pytest.raises(TamperedError, match=f"round {honest_rounds + 1}: the item matrix of server 0"):
        federation.open()


def test_a_user_over_a_bound_of_theirs_is_named_with_the_table():
    federation = Federation("plain", agreed_terms(Moments()))
    federation.users.opened[2] = 3.0  # squares are over 8
    with pytest.raises(DivergenceError, match="user 3, table moments: what it adds is over its bound"):
        federation.contribution()


def test_a_sum_over_its_bound_is_named_with_the_table():
    federation = Federation("plain", agreed_terms(Moments()))
    shares = federation.shares()
    shares[0].integers[federation.terms.blocks.fresh[0], 0] = 65 << 20
    with pytest.raises(DivergenceError, match="round 0, table moments: a sum is over its bound"):
        open_tables(shares, federation.terms)
