"""Users notice a server that adds anything but what it says it added; honest servers are never accused."""

import dataclasses

import numpy as np
import pytest
from fedmf_ray.learning.factors import Steps
from fedmf_ray.learning.rows import Items, RowLayout

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.protocol.items import Ledger, TamperedError, encrypt_items, read_share
from fedmf_ray.protocol.messages import EncryptedItems, ItemBlocks
from fedmf_ray.protocol.server import Roster, Server, deliver
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import registry as schemes

ITEMS, FACTORS = 6, 3
NOTHING = np.array([], np.int64), np.array([])


def opened(matrix):
    return Items.read(matrix, RowLayout(FACTORS), min_raters=1, counted=True)


class Federation:
    """Three users and as many servers as asked for; each test lets a server misbehave in round 1."""

    def __init__(self, scheme="packed", servers=1):
        grid = FixedPoint(20, 16, 1, 3)
        layout = ItemBlocks(ITEMS, FACTORS, servers=servers)
        steps = Steps(0.02, 0.01, 0.01)
        self.terms = Terms(
            np.arange(ITEMS), "batch", steps, RowLayout(FACTORS), grid, layout, 1.0, 1, "normal", 0.3, 3
        )
        self.evaluator, self.key = schemes.create(scheme, schemes.Matrices(FACTORS, grid, 1024))
        rated = [[0, 2, 4], [1, 2, 5], [0, 3, 5]]
        people = [
            UserRatings(user, np.array(items), np.array([4.0, 3.0, 1.5]), *NOTHING)
            for user, items in enumerate(rated, start=1)
        ]
        self.users, self.ledger = Users(people, self.terms), Ledger(self.key, self.terms)
        matrix = np.random.default_rng(0).normal(0, 0.3, (ITEMS, FACTORS))
        self.messages = encrypt_items(matrix, self.key, self.terms)
        borders = zip(layout.borders[:-1], layout.borders[1:], strict=True)
        self.servers = [
            Server(
                self.evaluator, message, Roster(self.users.user_ids, self.users.upload_rows.within(*border))
            )
            for message, border in zip(self.messages, borders, strict=True)
        ]
        self.open()
        self.past = [(self.messages, [])]

    def open(self, parts=1):
        shares = [read_share(self.messages, at, parts, self.key, self.terms) for at in range(parts)]
        self.ledger.settle(shares)
        self.items = self.terms.blocks.cut(np.concatenate([share.values for share in shares]))

    def uploads(self):
        """Of all users for the open round: a list of pieces each."""
        self.users.open()
        steps = self.users.update(0, 3, opened(self.items), self.terms)
        return self.users.uploads(0, 3, self.servers[0].round, steps, self.key, self.terms)

    def publish(self):
        self.messages = [server.publish() for server in self.servers]

    def honest_round(self):
        uploads = self.uploads()
        for pieces in uploads:
            deliver(pieces, self.servers)
        self.publish()
        self.open(parts=2)
        self.past.append((self.messages, uploads))


def add(server, rows, ciphertexts, tag):
    """What a server can do with its own memory, without any check."""
    server._sum.add(np.asarray(rows) - server._first, ciphertexts)
    if tag is not None:
        server._tags.add(np.array([0]), tag[None, None])


def upload_twice(server, pieces, _):
    add(server, pieces.blocks, pieces.ciphertexts, pieces.tag)


def rows_twice_without_the_tag(server, pieces, _):
    add(server, pieces.blocks, pieces.ciphertexts, None)


def replay_an_earlier_round(server, pieces, federation):
    earlier = federation.past[1][1][0][0]
    add(server, earlier.blocks, earlier.ciphertexts, earlier.tag)


def a_row_dropped(server, pieces, federation):
    negative = federation.evaluator.negate(pieces.ciphertexts[:1])
    add(server, pieces.blocks[:1], negative, None)


def two_rows_swapped(server, pieces, federation):
    negative = federation.evaluator.negate(pieces.ciphertexts)
    add(server, pieces.blocks, negative, None)
    add(server, pieces.blocks, pieces.ciphertexts[::-1].copy(), None)


def a_number_of_its_own(server, pieces, federation):
    """Anybody can encrypt: 1 + n is an encryption of one."""
    p, q = federation.key.primes
    one = np.frombuffer((1 + p * q).to_bytes(pieces.ciphertexts.shape[-1], "little"), np.uint8)
    wire = np.broadcast_to(one, (1, *pieces.ciphertexts.shape[1:])).copy()
    add(server, pieces.blocks[:1], wire, None)


def a_number_of_its_own_with_a_tag(server, pieces, federation):
    p, q = federation.key.primes
    one = np.frombuffer((1 + p * q).to_bytes(pieces.ciphertexts.shape[-1], "little"), np.uint8)
    wire = np.broadcast_to(one, (1, *pieces.ciphertexts.shape[1:])).copy()
    add(server, pieces.blocks[:1], wire, one)


def a_user_left_out_but_credited(server, pieces, federation):
    negate = federation.evaluator.negate
    add(server, pieces.blocks, negate(pieces.ciphertexts), negate(pieces.tag[None, None])[0, 0])


def a_user_added_but_not_credited(server, pieces, federation):
    server._added[0] = False


def an_upload_credited_to_somebody_else(server, pieces, federation):
    negate = federation.evaluator.negate
    (other,) = federation.latest[1]
    add(server, other.blocks, negate(other.ciphertexts), negate(other.tag[None, None])[0, 0])
    add(server, pieces.blocks, pieces.ciphertexts, pieces.tag)


TRICKS = [
    upload_twice,
    rows_twice_without_the_tag,
    replay_an_earlier_round,
    a_row_dropped,
    two_rows_swapped,
    a_number_of_its_own,
    a_number_of_its_own_with_a_tag,
    a_user_left_out_but_credited,
    a_user_added_but_not_credited,
    an_upload_credited_to_somebody_else,
]


@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_a_server_that_cheats_is_noticed_in_the_same_round(scheme, trick):
    federation = Federation(scheme)
    federation.honest_round()
    federation.latest = uploads = federation.uploads()
    for pieces in uploads:
        deliver(pieces, federation.servers)
    trick(federation.servers[0], uploads[0][0], federation)
    federation.publish()
    with pytest.raises(TamperedError, match="round 2: the item matrix of server 0 is not the sum"):
        federation.open()


def test_the_matrix_of_an_earlier_round_is_noticed():
    federation = Federation()
    federation.honest_round()
    federation.honest_round()
    old = federation.past[1][0][0]
    federation.messages = [dataclasses.replace(old, round=3, credited=np.array([1, 2, 3]))]
    with pytest.raises(TamperedError):
        federation.open()
    federation.messages = [dataclasses.replace(old, round=3)]
    with pytest.raises(TamperedError):
        federation.open()


def test_a_piece_that_goes_to_the_wrong_server_is_noticed_by_its_tag():
    federation = Federation(servers=2)
    uploads = federation.uploads()
    for pieces in uploads:
        deliver(pieces, federation.servers)
    first, second = federation.servers
    negate = federation.evaluator.negate
    mine, other = uploads[0]
    for server, takes, gives in ((first, mine, other), (second, other, mine)):
        server._tags.add(np.array([0]), negate(takes.tag[None, None]))
        server._tags.add(np.array([0]), gives.tag[None, None])
    federation.publish()
    with pytest.raises(TamperedError):
        federation.open()


@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
@pytest.mark.parametrize("servers", [1, 3])
def test_honest_rounds_are_never_accused(scheme, servers):
    """Everybody, nobody, some; an upload taken out again; a matrix that is opened twice, in parts."""
    federation = Federation(scheme, servers)
    for who in ([0, 1, 2], [], [1], [2, 0]):
        uploads = federation.uploads()
        for user in who:
            deliver(uploads[user], federation.servers)
        if 1 in who:
            for server, piece in zip(federation.servers, uploads[1], strict=True):
                server.retract(piece)
        federation.publish()
        federation.open()
        federation.open(parts=3)
        expected = sorted({user + 1 for user in who} - {2})
        assert federation.messages[0].credited.tolist() == expected


def test_a_tag_says_nothing_about_the_plaintext_to_those_without_the_key():
    """Two users with the same steps have unrelated tags, and so has one user in two rounds."""
    federation = Federation()
    authenticator, blocks = federation.key.authenticator, np.array([1, 2])
    plaintexts = federation.key.plaintexts(np.ones((2, FACTORS)))
    numbers = {authenticator.tag(blocks, plaintexts, user, number, 0) for user in (1, 2) for number in (0, 1)}
    assert len(numbers) == 4
    assert all(number.bit_length() > authenticator.modulus.bit_length() - 60 for number in numbers)


def test_in_the_clear_nothing_is_tagged():
    federation = Federation("plain")
    federation.honest_round()
    assert federation.ledger.balance == []
    assert isinstance(federation.messages[0], EncryptedItems)
    assert federation.messages[0].tag is None
