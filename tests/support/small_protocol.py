"""The protocol in one process, without Ray and files: agreed terms, a few users, keys, and whole rounds.

Key pairs are made once per test run. Where fresh ones are the point, a test calls ``scheme.sides`` itself.
"""

import dataclasses
import functools
import itertools

import numpy as np

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.rules import RULES, Rule, Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.combiner import Combiner, deliver
from fedmf_ray.protocol.items import Ledger, encrypt_items, initial_tables, open_tables, read_share
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.round import seal
from fedmf_ray.protocol.server import Server
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import SCHEMES as REGISTERED
from fedmf_ray.schemes import Plain, Shape, scheme_of

ITEMS, FACTORS, USERS = 9, 4, 5
SCHEMES = {name: scheme_of({"scheme": name, "key_bits": 1024}) for name in REGISTERED.names()}
NOTHING = np.array([], np.int64), np.array([])


@functools.cache
def secrets_of(scheme):
    """Those of the one key pair that a test run has for a scheme."""
    return scheme.sides(Shape(FACTORS, 30))[1].secrets()


def sides(scheme, shape):
    """Both sides of a scheme, or of one of :data:`SCHEMES` by its name, under one key pair for all shapes.
    Members of a committee remember what they have done: they are fresh."""
    scheme = SCHEMES.get(scheme, scheme)
    return scheme.sides(shape, secrets_of(scheme)) if scheme.council else _kept_sides(scheme, shape)


@functools.cache
def _kept_sides(scheme, shape):
    return scheme.sides(shape, secrets_of(scheme))


def people(users=USERS, items=ITEMS, seed=0):
    """Ratings of users 1, 2, ..., one to five each."""
    rng = np.random.default_rng(seed)
    for user_id in range(1, users + 1):
        rated = rng.choice(items, rng.integers(1, 6), replace=False)
        yield UserRatings(user_id, rated, rng.integers(1, 11, len(rated)) / 2, *NOTHING)


def agreed_terms(
    rule="sequential", sparsity=1.0, rows=1, servers=1, items=ITEMS, factors=FACTORS, users=USERS, **changes
):
    """Terms of a small run. rule: its name, or an object. changes: of the fields of its :class:`Setting`, or
    of the grid: fraction_bits, value_bound, update_bound."""
    rule = rule if isinstance(rule, Rule) else RULES.get(rule)()
    grid = {field.name for field in dataclasses.fields(FixedPoint)} & changes.keys()
    point = dataclasses.replace(FixedPoint(20, 16, 1, users), **{name: changes.pop(name) for name in grid})
    setting = Setting(items, factors, False, Steps(0.02, 0.01, 0.01), min_raters=1, point=point)
    setting = dataclasses.replace(setting, **changes)
    blocks = Blocks(rule.tables(setting), rows, servers)
    return Terms(np.arange(items) * 10, rule, setting, blocks, sparsity, Start("normal", 0.3, 3))


class Federation:
    """Users and servers in this process; a test may let any of them do something else between two steps.

    tables, items: what users have read last. messages: what servers have published last.
    """

    def __init__(self, scheme, terms, ratings=None, decoys=None, sealers=0):
        """sealers: as of :class:`fedmf_ray.protocol.round.Local`."""
        self.sealers, terms = sealers, dataclasses.replace(terms, shared_check=sealers > 0)
        self.terms, self.scheme = terms, SCHEMES.get(scheme, scheme)
        self.evaluator, self.key = sides(scheme, terms.blocks.shape)
        self.users = Users(list(people() if ratings is None else ratings), terms, decoys)
        self.ledger = Ledger(self.key, terms)
        self.messages = encrypt_items(initial_tables(terms), self.key, terms)
        borders = itertools.pairwise(terms.blocks.borders)
        self.rosters = [
            Roster(self.users.user_ids, self.users.upload_rows.within(*border)) for border in borders
        ]
        self.start_servers()
        self.past, self.number = [], 0
        """Messages that opened each round, and the uploads that came in it."""
        self.open()

    def start_servers(self):
        """From what has been published, at the beginning or after a failure."""
        self.servers = [self._receiver(Server, at) for at in range(len(self.messages))]

    def combiners(self):
        return [self._receiver(Combiner, at) for at in range(len(self.messages))]

    def _receiver(self, kind, at):
        return kind(self.evaluator, self.messages[at], self.rosters[at], self.terms.blocks)

    @property
    def round(self):
        return self.messages[0].round

    def settled(self):
        """What sealers give readers, if there are any."""
        if not self.sealers:
            return None
        return seal(self.messages, self.sealers, self.key, self.terms, self.ledger)

    def shares(self, parts=1):
        settled = self.settled()
        return [
            read_share(self.messages, part, parts, self.key, self.terms, settled=settled)
            for part in range(parts)
        ]

    def open(self, parts=1):
        """Users read what has been published."""
        shares = self.shares(parts)
        news = self.ledger.settle(shares, self.number)
        self.tables = open_tables(shares, self.terms)
        counted = self.round > 0
        self.items = self.terms.rule.read(self.tables, self.terms.setting, counted)
        if news:
            self.users.settle(
                np.concatenate([share.credited for share in shares]), self.terms, self.round - 1
            )
        self.users.solve(0, len(self.users), self.items, self.terms)
        self.users.open()

    def contribution(self):
        """What all users add in the open round."""
        return self.users.update(0, len(self.users), self.items, self.terms, self.round)

    def uploads(self):
        """Of all users in the open round: a list of pieces each."""
        count = len(self.users)
        return self.users.uploads(
            0, count, self.round, self.contribution(), self.key, self.terms, self.ledger.heads
        )

    def steps_of(self, user):
        """(rows, columns) integers that a user, by position, uploads in the open round."""
        _, clear = Plain().sides(self.terms.blocks.shape)
        added = self.users.update(user, user + 1, self.items, self.terms, self.round)
        (pieces,) = self.users.uploads(user, user + 1, self.round, added, clear, self.terms, {})
        return np.concatenate([clear.decrypt(piece.ciphertexts) for piece in pieces])

    def publish(self):
        """Servers close and publish; a user opens the sums if the scheme needs it."""
        closed = [server.close() for server in self.servers]
        openings = self.ledger.open(closed) if self.scheme.opens else [None] * len(closed)
        self.messages = [
            server.publish(opening) for server, opening in zip(self.servers, openings, strict=True)
        ]
        self.number += 1

    def deliver(self, uploads, combine=False):
        receivers = self.combiners() if combine else self.servers
        for pieces in uploads:
            deliver(pieces, receivers)
        if combine:
            for server, combiner in zip(self.servers, receivers, strict=True):
                partial = combiner.finish()
                server.merge(partial)
                server.merge(partial)  # sent again after a failure: nothing changes

    def play(self, who=None, arrival=None, parts=1, combine=False):
        """A whole round. who: positions of the users that are there. arrival: reorders uploads."""
        uploads = self.uploads()
        self.past.append((self.messages, uploads))
        arrived = uploads if who is None else [uploads[at] for at in who]
        self.deliver(arrival(arrived) if arrival else arrived, combine)
        self.publish()
        self.open(parts)


def train(scheme, terms, rounds=4, **how):
    """The item table after each round. how: of :meth:`Federation.play`."""
    federation, history = Federation(scheme, terms), []
    for _ in range(rounds):
        federation.play(**how)
        history.append(federation.tables[0])
    return np.array(history)
