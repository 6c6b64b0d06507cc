"""What a piece of work costs on this machine.

Unit costs come from the very functions that real runs time (:mod:`fedmf_ray.protocol`), each measured at
a small and a large size, so that a piece costs ``fixed + each * size``. A tariff applies them
(:mod:`fedmf_ray.costs.tariff`).
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable

import numpy as np

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.costs.tariff import Line, UnitCosts
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.factors import Steps, initial_items
from fedmf_ray.learning.rows import Items, RowLayout
from fedmf_ray.protocol.items import encrypt_items, read_share
from fedmf_ray.protocol.messages import EncryptedItems, ItemBlocks, Upload
from fedmf_ray.protocol.server import Roster, Server
from fedmf_ray.protocol.terms import Terms, column_grids
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import registry as schemes

_BUDGET_S = 1.0
_FEWEST, _MOST = 5, 100
"""Repeats of each measurement: as many as fit the budget, but not fewer or more than these."""

_BUNCH = 2
"""Uploads that the server adds in one go when that is measured. In a run they come between encryptions, and
find caches neither as cold as a single one would here, nor as warm as many (benchmarks/estimates.py)."""

_UPLOADERS = 16
"""Uploads that are in a matrix whose publishing is measured: the more, the more is left to do at the end."""

ROWS = {"plain": (1, 2048), "elementwise": (1, 4), "packed": (3, 35)}
"""The small and the large size of cryptographic work, in rows of the item matrix. Kernels may work on
``kernels.AT_ONCE`` numbers in a turn: packed sizes are whole turns apart, so that a turn that is not full
tilts no line, and begin in the middle of one, so that it lies as often above the truth as below."""

_FEW_RATINGS, _MANY_RATINGS = 4, 256
_CREDITED = (0, 512)


def typical(layout: RowLayout) -> RowLayout:
    """The same columns, whatever the regularisers: cells that differ in these alone are charged alike."""
    return dataclasses.replace(layout, prior=(100.0,) * len(layout.prior))


def measure(scheme: str, key_bits: int, layout: RowLayout, rule: str) -> UnitCosts:
    """Measure here, in a few seconds (the key pair and its table included)."""
    # One-value ciphertexts all cost the same: a short row does.
    row = RowLayout(min(layout.width, 4)) if scheme == "elementwise" else layout
    columns = row.width
    small, large = (_terms(rule, count, row) for count in ROWS[scheme])
    evaluator, key = schemes.create(scheme, schemes.Matrices(columns, small.grid, key_bits))
    few, many = (_encrypted_items(key, terms) for terms in (small, large))
    sizes = few.ciphertexts[:, :, 0].size, many.ciphertexts[:, :, 0].size

    raters = [_user(terms, terms.blocks.items) for terms in (small, large)]
    steps = [np.full((terms.blocks.items, columns), 0.01) for terms in (small, large)]
    uploads = [
        user.uploads(0, 1, 0, step, key, terms)[0][0]
        for user, step, terms in zip(raters, steps, (small, large), strict=True)
    ]
    readers = _terms(rule, _MANY_RATINGS, layout, update_bound=1e6)  # nobody trains: any step will do
    matrix = np.ones((_MANY_RATINGS, layout.width))  # somebody has rated everything
    matrix[:, : layout.factors] = initial_items("normal", 0.1, _MANY_RATINGS, layout.factors, seed=0)
    items = Items.read(matrix, layout, min_raters=1, counted=True)
    updaters = [_user(readers, count) for count in (_FEW_RATINGS, _MANY_RATINGS)]
    receivers = [_Receiving(evaluator, many, upload) for upload in uploads]
    publishing = [_Publishing(evaluator, *each) for each in zip((few, many), uploads, strict=True)]
    credited = [dataclasses.replace(few, round=1, credited=np.arange(count)) for count in _CREDITED]

    def upload(at: int) -> None:
        raters[at].uploads(0, 1, 0, steps[at], key, (small, large)[at])

    def refresh(at: int) -> None:
        if rule == "ridge":
            updaters[at].refit(0, 1, items, readers)
            updaters[at].open()
        updaters[at].update(0, 1, items, readers)

    def other_work() -> None:
        """In a run, encryptions come between small pieces of work, or go on beside them: caches are cold."""
        upload(1)

    def uploads_arrive() -> None:
        other_work()
        for server in publishing:
            server.receive()

    return UnitCosts(
        decrypt=_line(sizes, lambda at: read_share([(few, many)[at]], 0, 1, key, (small, large)[at])),
        update=_line((_FEW_RATINGS, _MANY_RATINGS), refresh, other_work),
        encrypt=_line(sizes, upload),
        receive=_line((_BUNCH * sizes[0], _BUNCH * sizes[1]), lambda at: receivers[at](), other_work).shared(
            _BUNCH
        ),
        publish=_line(sizes, lambda at: publishing[at](), uploads_arrive),
        # What reading takes without any credits is in the line of decryption.
        credit=Line(0.0, _line(_CREDITED, lambda at: read_share([credited[at]], 0, 1, key, small)).each),
    )


class _Receiving:
    """A server adds some more copies of an upload, each of another user."""

    def __init__(self, evaluator: schemes.Evaluator, items: EncryptedItems, upload: Upload) -> None:
        users = np.arange(_BUNCH * (_MOST + 2))
        self._server = Server(evaluator, items, Roster(users, np.full(len(users), len(upload.blocks))))
        self._upload, self._user_ids = upload, itertools.count()

    def __call__(self) -> None:
        for _ in range(_BUNCH):
            self._server.receive(dataclasses.replace(self._upload, user_id=next(self._user_ids)))


class _Publishing:
    """A server publishes what it has added something to: sums are put into shape then, not before."""

    def __init__(self, evaluator: schemes.Evaluator, items: EncryptedItems, upload: Upload) -> None:
        self._users = np.arange(_UPLOADERS)
        roster = Roster(self._users, np.full(_UPLOADERS, len(upload.blocks)))
        self._server, self._upload = Server(evaluator, items, roster), upload

    def receive(self) -> None:
        """Everybody's upload of the round, if it has not arrived."""
        for user_id in np.setdiff1d(self._users, self._server.added).tolist():
            now = self._server.round
            self._server.receive(dataclasses.replace(self._upload, round=now, user_id=user_id))

    def __call__(self) -> None:
        self._server.publish()


def _line(
    sizes: tuple[int, int], work: Callable[[int], object], before: Callable[[], None] | None = None
) -> Line:
    """Time ``work(0)`` of the small size and ``work(1)`` of the large one, turn and turn about."""
    times: tuple[list[float], list[float]] = ([], [])
    work(0)  # the first call of anything is slower
    started_at = cpu_clock()
    while len(times[0]) < _FEWEST or (len(times[0]) < _MOST and cpu_clock() - started_at < _BUDGET_S):
        for at in (0, 1):
            if before is not None:
                before()
            started = cpu_clock()
            work(at)
            times[at].append(cpu_clock() - started)
    small, large = (statistics.median(each) for each in times)
    each = max(0.0, (large - small) / (sizes[1] - sizes[0]))
    return Line(max(0.0, small - each * sizes[0]), each)


def _terms(rule: str, items: int, layout: RowLayout, update_bound: float = 0.5) -> Terms:
    point = FixedPoint(fraction_bits=20, value_bound=16.0, update_bound=update_bound, contributors=1000)
    return Terms(
        item_ids=np.arange(items),
        rule=rule,
        steps=Steps(1e-3, *(4 * [1.0] if rule == "ridge" else 4 * [1e-4])),
        layout=layout,
        grid=column_grids(layout, point),
        blocks=ItemBlocks(items, layout.width),
        part_text_sparsity=1.0,
        min_raters=1,
        init="normal",
        init_scale=0.1,
        seed=0,
    )


def _user(terms: Terms, ratings: int) -> Users:
    none = np.empty(0)
    rated = UserRatings(1, np.arange(ratings), np.full(ratings, 3.5), none.astype(np.int64), none)
    return Users([rated], terms)


def _encrypted_items(key: schemes.KeyHolder, terms: Terms) -> EncryptedItems:
    matrix, learned = np.zeros((terms.blocks.items, terms.layout.width)), terms.layout.learned
    matrix[:, :learned] = initial_items("normal", 0.1, terms.blocks.items, learned, seed=0)
    return encrypt_items(matrix, key, terms)[0]
