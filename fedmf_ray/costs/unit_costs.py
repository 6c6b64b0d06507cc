"""What a piece of work costs on this machine.

Unit costs come from the very functions that real runs time (:mod:`fedmf_ray.protocol`), each measured at
a small and a large size, so that a piece costs ``fixed + each * size``. A tariff applies them
(:mod:`fedmf_ray.costs.tariff`).
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.costs.tariff import NOTHING, Line, UnitCosts
from fedmf_ray.costs.unit_openings import CouncilRound, OpenedRound
from fedmf_ray.costs.unit_seals import SharedCheck
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.items import Items
from fedmf_ray.learning.rules import Rule, Setting
from fedmf_ray.learning.rules.gradient import Batch
from fedmf_ray.learning.start import Start
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.items import encrypt_items, initial_tables, open_tables, read_share
from fedmf_ray.protocol.messages import EncryptedItems, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Contribution, Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import Evaluator, Scheme
from fedmf_ray.schemes.base import Shape
from fedmf_ray.tables import FACTORS, RATERS, Column

_BUDGET_S = 1.0
_FEWEST, _MOST = 5, 100
"""Repeats of each measurement: as many as fit the budget, but not fewer or more than these."""

_BUNCH = 8
"""Uploads that the server adds in one go when that is measured: about as many as come at once in a run."""

_UPLOADERS = 16
"""Uploads that are in a matrix whose publishing is measured: the more, the more is left to do at the end."""

_FEW_RATINGS, _MANY_RATINGS = 4, 256
_CREDITED = (0, 512)

_LEARNING = 1
"""A round in which users learn: the first one may be a census."""

_USERS = 1000
"""Contributors, on whose number the width of slots depends a little."""


class Columns(NamedTuple):
    """What of a rule's settings decides how long its work takes; regularisers and step sizes do not."""

    factors: int
    biases: bool
    min_raters: int
    shape: Shape | None = None
    """Of the blocks that a rule with shared tables makes: these are most of them, and full."""
    items: int = 0
    """How many there are, for rules that prepare something for all of them."""


def measure(scheme: Scheme, rule: Rule, columns: Columns, rated: bool = False) -> UnitCosts:
    """Measure here, in a few seconds (the key pair and its table included). rated: users read what they
    rated, and share the check."""
    small, large = (_protected(scheme, rule, columns, rows) for rows in scheme.unit_rows)
    evaluator, key = scheme.sides(small.blocks.shape)
    # Members of a committee answer once for each head: those of two matrices are not the same.
    other = scheme.sides(small.blocks.shape, key.secrets())[1] if scheme.council else key
    few, many = (
        encrypt_items(initial_tables(terms), one, terms)[0] for terms, one in ((small, key), (large, other))
    )
    each = scheme.pieces(small.blocks.shape)
    sizes = len(few.ciphertexts) * each, len(many.ciphertexts) * each

    heads = {0: many.head}
    raters = [_user(terms, terms.blocks.items) for terms in (small, large)]
    steps = [_steps(terms) for terms in (small, large)]
    uploads = [
        user.uploads(0, 1, 0, step, key, terms, heads)[0][0]
        for user, step, terms in zip(raters, steps, (small, large), strict=True)
    ]
    many_items = max(_MANY_RATINGS, rule.unit_items, columns.items)
    readers = _terms(rule, columns, many_items, update_bound=1e6)  # nobody trains: any step will do
    always = tuple(table for table in readers.blocks.tables if table.always)
    passing = [table.name for table in readers.blocks.tables if not table.always]
    learners = dataclasses.replace(readers, blocks=Blocks(always))
    items = _items_that_all_rated(readers)
    updaters = [_user(readers, count) for count in (_FEW_RATINGS, _MANY_RATINGS)]
    receivers = [_Receiving(evaluator, many, upload) for upload in uploads]
    publishing: Sequence[_Publishing | OpenedRound]
    if scheme.opens:
        kind = CouncilRound if scheme.council else OpenedRound
        publishing = opened = [
            kind(evaluator, one, items, terms, _uploaders(terms), _steps(terms, _UPLOADERS), scheme.council)
            for one, items, terms in ((key, few, small), (other, many, large))
        ]
        reopen, unmask = _opening_lines(opened, sizes)
    else:
        publishing = [_Publishing(evaluator, *each) for each in zip((few, many), uploads, strict=True)]
        reopen = unmask = NOTHING
    credited = [dataclasses.replace(few, round=1, credited=np.arange(count)) for count in _CREDITED]

    def upload(at: int) -> None:
        raters[at].uploads(0, 1, 0, steps[at], key, (small, large)[at], heads)

    def refresh(at: int) -> None:
        items.derived.clear()
        rule.prepare(items, readers.setting)
        updaters[at].solve(0, 1, items, readers)
        updaters[at].open()
        updaters[at].update(0, 1, items, learners, _LEARNING)

    def pass_by(at: int) -> None:
        user = updaters[at]
        for name in passing:
            rule.passing(name, user.vectors, items, user.train.whole, readers.setting)

    def read(at: int) -> None:
        terms = (small, large)[at]
        open_tables([read_share([(few, many)[at]], 0, 1, key, terms)], terms)

    def unlock(at: int) -> None:
        key.decrypt((few, many)[at].ciphertexts)

    def settle(at: int) -> None:
        """What reading takes without any credits is in the line of decryption."""
        read_share([credited[at]], 0, 1, key, small)

    def other_work() -> None:
        """In a run, encryptions come between small pieces of work, or go on beside them: caches are cold."""
        upload(1)

    def uploads_arrive() -> None:
        other_work()
        for server in publishing:
            server.receive()

    sharing = SharedCheck(key, (few, many), (small, large)) if rated else None
    bunches = _BUNCH * sizes[0], _BUNCH * sizes[1]
    return UnitCosts(
        decrypt=_line(sizes, read),
        update=_line((_FEW_RATINGS, _MANY_RATINGS), refresh, other_work),
        passing=_line((_FEW_RATINGS, _MANY_RATINGS), pass_by, other_work) if passing else NOTHING,
        encrypt=_line(sizes, upload),
        receive=_line(bunches, lambda at: receivers[at](), other_work).shared(_BUNCH),
        publish=_line(sizes, lambda at: publishing[at](), uploads_arrive),
        credit=NOTHING if key.keeps_heads else Line(0.0, _line(_CREDITED, settle).each),
        reopen=reopen,
        unmask=unmask,
        open=_line(sizes, unlock) if sharing else NOTHING,
        weigh=_line(sizes, sharing.check, other_work) if sharing else NOTHING,
        settle=_line(sharing.parts, sharing.settle, other_work) if sharing else NOTHING,
        seal=_line(sizes, sharing.seal, other_work) if sharing else NOTHING,
    )


@dataclasses.dataclass(frozen=True)
class _Blocks(Batch):
    """Rows of so many numbers in slots of so many bits, for work that does not depend on what they mean."""

    width: int = 1
    slot_bits: int = 2

    def columns(self, setting: Setting) -> tuple[Column, ...]:
        point = FixedPoint(0, 2.0 ** (self.slot_bits - 2), 1.0, 1)
        return (Column(FACTORS, self.width, point),)


class _Receiving:
    """A server adds some more copies of an upload, each of another user."""

    def __init__(self, evaluator: Evaluator, items: EncryptedItems, upload: Upload) -> None:
        users = np.arange(_BUNCH * (_MOST + 2))
        self._server = Server(evaluator, items, Roster(users, np.full(len(users), len(upload.blocks))))
        self._upload, self._user_ids = dataclasses.replace(upload, head=items.head), itertools.count()

    def __call__(self) -> None:
        bunch = [dataclasses.replace(self._upload, user_id=next(self._user_ids)) for _ in range(_BUNCH)]
        assert not self._server.receive_all(bunch)


class _Publishing:
    """A server publishes what it has added something to: sums are put into shape then, not before."""

    def __init__(self, evaluator: Evaluator, items: EncryptedItems, upload: Upload) -> None:
        self._users = np.arange(_UPLOADERS)
        roster = Roster(self._users, np.full(_UPLOADERS, len(upload.blocks)))
        self._server, self._upload = Server(evaluator, items, roster), upload

    def receive(self) -> None:
        """Everybody's upload of the round, if it has not arrived."""
        for user_id in np.setdiff1d(self._users, self._server.added).tolist():
            now = self._server.round
            self._server.receive(dataclasses.replace(self._upload, round=now, user_id=user_id))

    def __call__(self) -> None:
        self._server.close()
        self._server.publish()


def _opening_lines(servers: Sequence[OpenedRound], sizes: tuple[int, int]) -> tuple[Line, Line]:
    """Of opening sums without any upload, by their size, and of each piece uploaded."""
    lines = []
    for uploads in (False, True):
        for server in servers:
            server.receive(uploads)
        lines.append(_line(sizes, lambda at: servers[at].open()))
        for server in servers:
            server()
    alone, together = lines
    return alone, Line(0.0, max(0.0, together.each - alone.each) / _UPLOADERS)


def _line(
    sizes: tuple[int, int], work: Callable[[int], object], before: Callable[[], None] | None = None
) -> Line:
    """Time ``work(0)`` of the small size and ``work(1)`` of the large one, alternately. Work that others than
    the one who is charged have a part in returns the seconds that count."""
    times: tuple[list[float], list[float]] = ([], [])
    work(0)  # the first call of anything is slower
    started_at = cpu_clock()
    while len(times[0]) < _FEWEST or (len(times[0]) < _MOST and cpu_clock() - started_at < _BUDGET_S):
        for at in (0, 1):
            if before is not None:
                before()
            started = cpu_clock()
            counted = work(at)
            times[at].append(counted if isinstance(counted, float) else cpu_clock() - started)
    small, large = (statistics.median(each) for each in times)
    each = max(0.0, (large - small) / (sizes[1] - sizes[0]))
    return Line(max(0.0, small - each * sizes[0]), each)


def _protected(scheme: Scheme, rule: Rule, columns: Columns, items: int) -> Terms:
    """Rows as wide as the rule's, or shorter ones where the scheme says that the width does not matter. With
    shared tables, rows are the rule's blocks."""
    if columns.shape is not None:
        width = scheme.unit_width(columns.shape.columns)
        return _terms(_Blocks(width, columns.shape.value_bits), Columns(1, False, 1), items)
    terms = _terms(rule, columns, items)
    width = scheme.unit_width(terms.items.width)
    return terms if width == terms.items.width else _terms(Batch(), Columns(width, False, 1), items)


def _terms(rule: Rule, columns: Columns, items: int, update_bound: float = 0.5) -> Terms:
    point = FixedPoint(fraction_bits=20, value_bound=16.0, update_bound=update_bound, contributors=_USERS)
    setting = Setting(
        items, columns.factors, columns.biases, Steps(1e-3, *(4 * [1.0])), columns.min_raters, point
    )
    start = Start("normal", 0.1, seed=0)
    return Terms(np.arange(items), rule, setting, Blocks(rule.tables(setting)), 1.0, start)


def _steps(terms: Terms, users: int = 1) -> Contribution:
    """A small step for every number."""
    shared = {table.name: np.zeros((users, table.rows, table.width)) for table in terms.blocks.tables[1:]}
    return Contribution(np.full((users * terms.blocks.items, terms.items.width), 0.01), shared)


def _user(terms: Terms, ratings: int) -> Users:
    return _users(terms, ratings, 1)


def _uploaders(terms: Terms) -> Users:
    return _users(terms, terms.blocks.items, _UPLOADERS)


def _users(terms: Terms, ratings: int, count: int) -> Users:
    """Users 1, 2, ... who have all rated the same."""
    none, rated = np.empty(0), np.arange(ratings)
    rates = np.full(ratings, 3.5)
    return Users(
        [UserRatings(at, rated, rates, none.astype(np.int64), none) for at in range(1, count + 1)], terms
    )


def _items_that_all_rated(terms: Terms) -> Items:
    """What users read when somebody has rated everything, and all have counted themselves."""
    tables, items = initial_tables(terms), terms.items
    tables[0][:, terms.learns :] = 1.0
    if RATERS in items:
        tables[0][:, items.at(RATERS)] = float(max(1, terms.setting.min_raters))
    return terms.rule.read(tables, terms.setting, counted=True)
