"""FedMF without Ray: exactness across schemes, uploads and orders; the oracle; what the server refuses."""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from fedmf_ray.learning.factors import Steps, initial_items, initial_user
from fedmf_ray.learning.rows import Items, RowLayout

from fedmf_ray.errors import DivergenceError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.protocol.items import Ledger, encrypt_items, read_share
from fedmf_ray.protocol.messages import ItemBlocks, Upload
from fedmf_ray.protocol.server import Combiner, Roster, Server, UploadRefused, deliver
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.reference import fedmf
from fedmf_ray.schemes import registry as schemes

ITEMS, FACTORS, USERS = 9, 4, 5
NOTHING = np.array([], np.int64), np.array([])


def opened(matrix):
    return Items.read(matrix, RowLayout(FACTORS), min_raters=1, counted=True)


def slices(seed=0):
    rng = np.random.default_rng(seed)
    for user_id in range(1, USERS + 1):
        rated = rng.choice(ITEMS, rng.integers(1, 6), replace=False)
        yield UserRatings(user_id, rated, rng.integers(1, 11, len(rated)) / 2, *NOTHING)


def terms(rule="sequential", sparsity=1.0, rows=1, **changes):
    agreed = Terms(
        item_ids=np.arange(ITEMS) * 10,
        rule=rule,
        steps=Steps(0.02, 0.01, 0.01),
        layout=RowLayout(FACTORS),
        grid=FixedPoint(20, 16, 1, USERS),
        blocks=ItemBlocks(ITEMS, FACTORS, rows),
        part_text_sparsity=sparsity,
        min_raters=1,
        init="normal",
        init_scale=0.3,
        seed=3,
    )
    return dataclasses.replace(agreed, **changes)


def read(messages, key, agreed, ledger=None, parts=1):
    """V from the messages of all servers, read in so many parts, and held against the users' ledger."""
    shares = [read_share(messages, part, parts, key, agreed) for part in range(parts)]
    if ledger:
        ledger.settle(shares)
    return agreed.blocks.cut(np.concatenate([share.values for share in shares]))


def rosters(users, layout):
    return [
        Roster(users.user_ids, users.upload_rows.within(*border))
        for border in itertools.pairwise(layout.borders)
    ]


def train(scheme, agreed, rounds=4, arrival=None, parts=1, combine=False):
    """Run the protocol in this process; V after each round. ``arrival`` reorders uploads."""
    matrices = schemes.Matrices(agreed.blocks.columns, agreed.grid, 1024)
    evaluator, key = schemes.create(scheme, matrices)
    users, ledger = Users(list(slices()), agreed), Ledger(key, agreed)
    items = encrypt_items(initial_items("normal", 0.3, ITEMS, FACTORS, 3), key, agreed)
    members = rosters(users, agreed.blocks)
    servers = [Server(evaluator, *each) for each in zip(items, members, strict=True)]
    matrix, history = read(items, key, agreed, ledger, parts), []
    for number in range(rounds):
        users.open()
        steps = users.update(0, USERS, opened(matrix), agreed)
        uploads = users.uploads(0, USERS, number, steps, key, agreed)
        receivers = servers
        if combine:
            receivers = [Combiner(evaluator, *each) for each in zip(items, members, strict=True)]
        for pieces in arrival(uploads) if arrival else uploads:
            deliver(pieces, receivers)
        if combine:
            for server, combiner in zip(servers, receivers, strict=True):
                partial = combiner.finish()
                server.merge(partial)
                server.merge(partial)  # sent again after a failure: nothing changes
        items = [server.publish() for server in servers]
        matrix = read(items, key, agreed, ledger, parts)
        history.append(matrix)
    return np.array(history)


@pytest.mark.parametrize("rule", ["sequential", "batch"])
@pytest.mark.parametrize(("sparsity", "rows"), [(0.0, 1), (0.0, 4), (0.3, 1), (1.0, 1)])
def test_all_schemes_give_the_same_bits_in_every_round(rule, sparsity, rows):
    agreed = terms(rule, sparsity, rows)
    plain = train("plain", agreed)
    assert np.ptp(plain, axis=0).max() > 0.01  # something was learnt
    assert np.array_equal(train("packed", agreed), plain)
    assert np.array_equal(train("elementwise", agreed), plain)


@pytest.mark.parametrize("rule", ["sequential", "batch"])
def test_full_text_part_text_and_decoys_learn_the_same(rule):
    part = train("plain", terms(rule, 1.0))
    for sparsity, rows in [(0.0, 1), (0.0, 2), (0.5, 1)]:
        assert np.array_equal(train("plain", terms(rule, sparsity, rows)), part)


@pytest.mark.parametrize("scheme", ["plain", "elementwise", "packed"])
@pytest.mark.parametrize(("sparsity", "rows"), [(0.0, 4), (0.3, 1), (1.0, 1)])
def test_servers_readers_and_combiners_change_no_bit(scheme, sparsity, rows):
    expected = train("plain", terms(sparsity=sparsity, rows=rows), rounds=2)
    for servers, parts, combine in [(2, 1, False), (3, 2, False), (1, 4, True), (3, 2, True)]:
        agreed = terms(sparsity=sparsity, blocks=ItemBlocks(ITEMS, FACTORS, rows, servers))
        assert np.array_equal(train(scheme, agreed, rounds=2, parts=parts, combine=combine), expected)


def test_order_of_arrival_does_not_matter():
    agreed = terms()
    expected = train("packed", agreed)
    assert np.array_equal(train("packed", agreed, arrival=lambda uploads: uploads[::-1]), expected)
    orders = itertools.cycle(np.random.default_rng(1).permutation(USERS) for _ in range(3))
    assert np.array_equal(
        train("packed", agreed, arrival=lambda uploads: [uploads[i] for i in next(orders)]), expected
    )


@pytest.mark.parametrize("rule", ["sequential", "batch"])
@pytest.mark.parametrize("part_text", [True, False])
def test_agrees_with_the_reference_page(rule, part_text):
    users = list(slices())
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
    ours = train("packed", terms(rule, 1.0 if part_text else 0.0), rounds=2)
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
        agreed = terms(sparsity=0.3)
        _, key = schemes.create("plain", schemes.Matrices(FACTORS, agreed.grid, 0))
        (ratings,) = itertools.islice(slices(), 1)
        users = Users([ratings], agreed)
        matrix = initial_items("normal", 0.3, ITEMS, FACTORS, 3)
        first, second = (
            users.uploads(0, 1, n, users.update(0, 1, opened(matrix), agreed), key, agreed)[0][0]
            for n in (0, 1)
        )
        assert np.array_equal(first.blocks, second.blocks)
        assert len(first.blocks) == 7
        decoys = ~np.isin(first.blocks, ratings.items)
        assert not key.decrypt(first.ciphertexts)[decoys].any()
        assert key.decrypt(first.ciphertexts)[~decoys].any(axis=1).all()


class TestDivergence:
    def test_a_step_over_its_bound_names_user_item_and_setting(self):
        agreed = terms(grid=FixedPoint(20, 16, 1e-4, USERS))
        users = Users(list(slices()), agreed)
        with pytest.raises(
            DivergenceError, match=r"user \d, item \d?0: a step is over .*update_bound 0.0001"
        ):
            users.update(0, USERS, opened(initial_items("normal", 0.3, ITEMS, FACTORS, 3)), agreed)

    def test_an_item_over_its_bound_is_found_on_opening(self):
        wide, narrow = terms(), terms(grid=FixedPoint(20, 0.5, 1, USERS))
        _, key = schemes.create("plain", schemes.Matrices(FACTORS, wide.grid, 0))
        matrix = np.zeros((ITEMS, FACTORS))
        matrix[4, 2] = 0.6
        with pytest.raises(
            DivergenceError, match="round 0, item 40: a value is over protocol.value_bound 0.5"
        ):
            read(encrypt_items(matrix, key, wide), key, narrow)

    @pytest.mark.parametrize("rule", ["sequential", "batch"])
    def test_a_learning_rate_that_explodes_ends_with_an_error_not_with_nan(self, rule):
        with pytest.raises(DivergenceError, match="learning_rate"):
            train("plain", terms(rule, steps=Steps(50.0, 0, 0)), rounds=30)

    def test_an_initial_matrix_over_its_bound_is_refused(self):
        agreed = terms(grid=FixedPoint(20, 0.5, 1, USERS))
        _, key = schemes.create("plain", schemes.Matrices(FACTORS, agreed.grid, 0))
        with pytest.raises(DivergenceError, match="init_scale"):
            encrypt_items(np.full((ITEMS, FACTORS), 0.6), key, agreed)


@pytest.fixture(scope="module")
def setting():
    """Both sides of a packed scheme and an item matrix of zeros."""
    evaluator, key = schemes.create("packed", schemes.Matrices(FACTORS, FixedPoint(20, 16, 1, USERS), 1024))
    (zeros,) = encrypt_items(np.zeros((ITEMS, FACTORS)), key, terms())
    return evaluator, key, zeros


MEMBERS = Roster(np.array([1, 2]), np.array([2, 2]))
"""Two users who have announced two blocks each."""


class TestServer:
    def upload(self, key, round=0, user=1, rows=(2, 5)):
        rows, values = np.array(rows, np.int64), np.ones((len(rows), FACTORS)) / 2
        tag = key.authenticator.tag(rows, key.plaintexts(values), user, round, 0)
        wire = key.encrypt(values, [tag])
        return Upload(round, user, rows, wire[:-1], wire[-1, 0])

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"round": 1}, "this is round 0"),
            ({"user": 99}, "no such user"),
            ({"rows": (2,)}, "not the 2 it announced"),
            ({"rows": (2, 5, 6)}, "not the 2 it announced"),
            ({"rows": (5, 2)}, "strictly increasing"),
            ({"rows": (2, 2)}, "strictly increasing"),
            ({"rows": (-1, 2)}, "within 0 to 8"),
            ({"rows": (2, 9)}, "within 0 to 8"),
        ],
    )
    def test_refuses_what_does_not_fit_and_adds_nothing(self, setting, changes, reason):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        with pytest.raises(UploadRefused, match=reason):
            server.receive(self.upload(key, **changes))
        assert not key.decrypt(server.publish().ciphertexts).any()

    def test_refuses_the_wrong_number_of_rows_and_bad_ciphertexts(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        good = self.upload(key)
        for bad, reason in [
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[:1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[..., :-1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=np.zeros_like(good.ciphertexts)), "a ciphertext"),
            (dataclasses.replace(good, tag=None), "has no tag"),
            (dataclasses.replace(good, tag=good.tag[:-1]), "not one ciphertext"),
            (dataclasses.replace(good, tag=np.zeros_like(good.tag)), "a ciphertext"),
        ]:
            with pytest.raises(UploadRefused, match=reason):
                server.receive(bad)
        server.receive(good)  # a refused upload does not use up the user's turn
        assert key.decrypt(server.publish().ciphertexts).sum() == 2 * FACTORS / 2

    def test_applies_an_upload_once_a_round(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, zeros, MEMBERS)
        server.receive(self.upload(key))
        with pytest.raises(UploadRefused, match="uploaded already"):
            server.receive(self.upload(key))
        server.publish()
        server.receive(self.upload(key, round=1))
        assert key.decrypt(server.publish().ciphertexts)[2, 0] == 1.0

    @pytest.mark.parametrize("scheme", ["packed", "elementwise"])
    def test_its_memory_holds_no_private_key(self, scheme):
        agreed = terms()
        evaluator, key = schemes.create(scheme, schemes.Matrices(FACTORS, agreed.grid, 1024))
        (zeros,) = encrypt_items(np.zeros((ITEMS, FACTORS)), key, agreed)
        server = Server(evaluator, zeros, MEMBERS)
        server.receive(self.upload(key, user=1))
        state, holder = pickle.dumps(server), pickle.dumps(key)
        for secret in key.primes:
            as_bytes = int(secret).to_bytes(64, "little")
            assert as_bytes in holder  # the search would find it
            assert as_bytes not in state
            assert as_bytes[::-1] not in state
