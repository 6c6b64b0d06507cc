"""FedMF without Ray: exactness across schemes, uploads and orders; the oracle; what the server refuses."""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest

from fedmf_ray.crypto import schemes
from fedmf_ray.crypto.fixed_point import FixedPoint
from fedmf_ray.errors import DivergenceError
from fedmf_ray.factors import Steps, initial_items, initial_user
from fedmf_ray.protocol.messages import EncryptedItems, ItemBlocks, Upload
from fedmf_ray.protocol.server import Server, UploadRefused
from fedmf_ray.protocol.user import Terms, User, encrypt_items, read_items, update, uploaded_count
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.reference import fedmf

ITEMS, FACTORS, USERS = 9, 4, 5
NOTHING = np.array([], np.int64), np.array([])


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
        grid=FixedPoint(20, 16, 1, USERS),
        blocks=ItemBlocks(ITEMS, FACTORS, rows),
        part_text_sparsity=sparsity,
        init="normal",
        init_scale=0.3,
        seed=3,
    )
    return dataclasses.replace(agreed, **changes)


def train(scheme, agreed, rounds=4, arrival=None):
    """Run the protocol in this process; V after each round. ``arrival`` reorders uploads."""
    matrices = schemes.Matrices(agreed.blocks.columns, agreed.grid, 1024)
    evaluator, key = schemes.create(scheme, matrices)
    users = [User(ratings, agreed) for ratings in slices()]
    items = encrypt_items(initial_items("normal", 0.3, ITEMS, FACTORS, 3), key, agreed)
    server = Server(evaluator, items, [user.ratings.user_id for user in users])
    history = []
    for number in range(rounds):
        matrix = read_items(items, key, agreed)
        item_steps = update(users, matrix, agreed)
        uploads = [
            user.upload(number, steps, key, agreed) for user, steps in zip(users, item_steps, strict=True)
        ]
        for upload in arrival(uploads) if arrival else uploads:
            server.receive(upload)
        items = server.publish()
        history.append(read_items(items, key, agreed))
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
        user = User(ratings, agreed)
        matrix = initial_items("normal", 0.3, ITEMS, FACTORS, 3)
        first, second = (user.upload(n, update([user], matrix, agreed)[0], key, agreed) for n in (0, 1))
        assert np.array_equal(first.blocks, second.blocks)
        assert len(first.blocks) == 7
        decoys = ~np.isin(first.blocks, ratings.items)
        assert not key.decrypt(first.ciphertexts)[decoys].any()
        assert key.decrypt(first.ciphertexts)[~decoys].any(axis=1).all()


class TestDivergence:
    def test_a_step_over_its_bound_names_user_item_and_setting(self):
        agreed = terms(grid=FixedPoint(20, 16, 1e-4, USERS))
        users = [User(ratings, agreed) for ratings in slices()]
        with pytest.raises(
            DivergenceError, match=r"user \d, item \d?0: a step is over .*update_bound 0.0001"
        ):
            update(users, initial_items("normal", 0.3, ITEMS, FACTORS, 3), agreed)

    def test_an_item_over_its_bound_is_found_on_opening(self):
        wide, narrow = terms(), terms(grid=FixedPoint(20, 0.5, 1, USERS))
        _, key = schemes.create("plain", schemes.Matrices(FACTORS, wide.grid, 0))
        matrix = np.zeros((ITEMS, FACTORS))
        matrix[4, 2] = 0.6
        with pytest.raises(
            DivergenceError, match="round 0, item 40: a factor is over protocol.value_bound 0.5"
        ):
            read_items(encrypt_items(matrix, key, wide), key, narrow)

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
    return evaluator, key, key.encrypt(np.zeros((ITEMS, FACTORS)))


class TestServer:
    def upload(self, key, round=0, user=1, rows=(2, 5)):
        return Upload(round, user, np.array(rows, np.int64), key.encrypt(np.ones((len(rows), FACTORS)) / 2))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"round": 1}, "this is round 0"),
            ({"user": 99}, "no such user"),
            ({"rows": (5, 2)}, "strictly increasing"),
            ({"rows": (2, 2)}, "strictly increasing"),
            ({"rows": (-1, 2)}, "within 0 to 8"),
            ({"rows": (2, 9)}, "within 0 to 8"),
        ],
    )
    def test_refuses_what_does_not_fit_and_adds_nothing(self, setting, changes, reason):
        evaluator, key, zeros = setting
        server = Server(evaluator, EncryptedItems(0, zeros), [1, 2])
        with pytest.raises(UploadRefused, match=reason):
            server.receive(self.upload(key, **changes))
        assert not key.decrypt(server.publish().ciphertexts).any()

    def test_refuses_the_wrong_number_of_rows_and_bad_ciphertexts(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, EncryptedItems(0, zeros), [1, 2])
        good = self.upload(key)
        for bad, reason in [
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[:1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=good.ciphertexts[..., :-1]), "agreed shape"),
            (dataclasses.replace(good, ciphertexts=np.zeros_like(good.ciphertexts)), "a ciphertext"),
        ]:
            with pytest.raises(UploadRefused, match=reason):
                server.receive(bad)
        server.receive(good)  # a refused upload does not use up the user's turn
        assert key.decrypt(server.publish().ciphertexts).sum() == 2 * FACTORS / 2

    def test_applies_an_upload_once_a_round(self, setting):
        evaluator, key, zeros = setting
        server = Server(evaluator, EncryptedItems(0, zeros), [1, 2])
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
        server = Server(evaluator, EncryptedItems(0, key.encrypt(np.zeros((ITEMS, FACTORS)))), [1])
        server.receive(self.upload(key, user=1))
        private = key._key if scheme == "packed" else key._private
        state, holder = pickle.dumps(server), pickle.dumps(key)
        for secret in (private.p, private.q):
            as_bytes = int(secret).to_bytes(64, "little")
            assert as_bytes in holder  # the search would find it
            assert as_bytes not in state
            assert as_bytes[::-1] not in state
