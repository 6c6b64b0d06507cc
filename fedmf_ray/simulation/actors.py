"""The two actors. Plain classes: a backend decides whether they live in processes of their own."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.crypto import schemes
from fedmf_ray.factors import initial_items
from fedmf_ray.metrics import ErrorSums
from fedmf_ray.privacy.views import ClearUpload
from fedmf_ray.protocol.messages import EncryptedItems, Upload
from fedmf_ray.protocol.server import Server
from fedmf_ray.protocol.user import Terms, User, encrypt_items, read_items, update
from fedmf_ray.ratings.synthetic import Synthetic, user_ratings
from fedmf_ray.ratings.table import Split, UserRatings
from fedmf_ray.simulation.costs import UserCosts, cpu_clock
from fedmf_ray.simulation.unit_costs import Tariff

_BLOCK_RATINGS = 8192
"""Users are trained in blocks of about this many ratings: uploads flow while later blocks compute, and
an actor's memory does not grow with the number of users that it hosts."""


@dataclass(frozen=True)
class SyntheticMembers:
    """Users who make their own ratings where they live."""

    spec: Synthetic
    user_ids: Sequence[int]
    split: Split


Members = Sequence[UserRatings] | SyntheticMembers


class Report(NamedTuple):
    """What the users of an actor tell the experimenter after opening a round: sums, never a rating.

    users: (user id, error sums, sum over factors of the absolute change of its vector), one per user.
    item_change: mean absolute change of the item matrix since the last round (NaN in the first).
    """

    users: list[tuple[int, ErrorSums, float]]
    item_change: float


def create_keys(
    scheme: str, matrices: schemes.Matrices
) -> tuple[schemes.Evaluator, schemes.KeyHolder, float]:
    """The users' key ceremony: the server's side, the users' side, and its CPU seconds."""
    started = cpu_clock()
    evaluator, key = schemes.create(scheme, matrices)
    return evaluator, key, cpu_clock() - started


class UserActor:
    """Hosts one or more users: their ratings and vectors never leave it."""

    def __init__(self, members: Members, terms: Terms, together: bool, tariff: Tariff | None = None) -> None:
        """Stores its arguments only: Ray hides the reason if a constructor fails.

        together: run the update rule on a block of users at once. Results are the same; a user is then
        charged its share of the block, where otherwise it is measured alone.
        tariff: charge by it instead of measuring; how many ratings a user has stays here.
        """
        self._members, self._terms, self._together, self._tariff = members, terms, together, tariff
        self._item_matrix: NDArray[np.float64] | None = None
        self._decrypt_cpu_s = 0.0
        self._download_bytes = 0

    def set_up(self, key: schemes.KeyHolder) -> int:
        """Receive the key pair and make the users; returns the number of training blocks."""
        members = self._members
        if isinstance(members, SyntheticMembers):
            members = [user_ratings(members.spec, user_id, members.split) for user_id in members.user_ids]
        self._users = [User(ratings, self._terms) for ratings in members]
        self._vectors_before = [user.vector for user in self._users]
        self._blocks = _cut([len(user.ratings.items) for user in self._users])
        self._key = key
        # Unpacking the shared table happens at the first encryption; it is set-up, not round 0.
        key.encrypt(np.zeros((1, self._terms.blocks.columns)))
        return len(self._blocks)

    def encrypt_initial_items(self) -> EncryptedItems:
        """Make and encrypt the matrix that opens round 0 (one user does this for all)."""
        terms, layout = self._terms, self._terms.blocks
        matrix = initial_items(terms.init, terms.init_scale, layout.items, layout.factors, terms.seed)
        return encrypt_items(matrix, self._key, terms)

    def open_round(self, message: EncryptedItems) -> Report:
        """Decrypt the published matrix once for all users here and report their errors under it."""
        started = cpu_clock()
        matrix = read_items(message, self._key, self._terms)
        self._decrypt_cpu_s = cpu_clock() - started
        self._download_bytes = message.ciphertexts.nbytes
        before, self._item_matrix = self._item_matrix, matrix
        reports = [
            (user.ratings.user_id, user.error_sums(matrix), float(np.sum(np.abs(user.vector - old))))
            for user, old in zip(self._users, self._vectors_before, strict=True)
        ]
        self._vectors_before = [user.vector for user in self._users]
        return Report(reports, float("nan") if before is None else float(np.mean(np.abs(matrix - before))))

    def items_in_the_clear(self) -> NDArray[np.float64]:
        """V of the open round, as any user sees it: what a curious one would keep."""
        if self._item_matrix is None:
            raise RuntimeError("no round is open")
        return self._item_matrix

    def decrypt_for_server(self, uploads: Sequence[Upload]) -> list[ClearUpload]:
        """What a user who colludes with the server does with other users' uploads."""
        layout = self._terms.blocks
        clear = []
        for upload in uploads:
            rows, values = upload.blocks, self._key.decrypt(upload.ciphertexts)
            if layout.rows > 1:  # full text: all blocks
                rows, values = np.arange(layout.items), layout.cut(values)
            clear.append(ClearUpload(upload.user_id, rows, values))
        return clear

    def train(self, round_number: int, block: int) -> tuple[list[Upload], UserCosts]:
        """One block of users: update vectors, encrypt steps. Costs are those of the open round."""
        if self._item_matrix is None:
            raise RuntimeError("train before open_round")
        users = self._users[self._blocks[block]]
        uploads, update_cpu_s, encrypt_cpu_s = [], [], []
        for user, (steps, seconds) in zip(users, self._update(users, self._item_matrix), strict=True):
            update_cpu_s.append(seconds)
            started = cpu_clock()
            uploads.append(user.upload(round_number, steps, self._key, self._terms))
            encrypt_cpu_s.append(cpu_clock() - started)
        user_ids = np.array([user.ratings.user_id for user in users])
        upload_rows = np.array([len(user.rows) for user in users])
        if self._tariff is not None:
            ratings = np.array([len(user.ratings.items) for user in users])
            return uploads, self._tariff.users(user_ids, ratings, upload_rows)
        return uploads, UserCosts(
            user_id=user_ids,
            decrypt_cpu_s=np.full(len(users), self._decrypt_cpu_s),
            update_cpu_s=np.array(update_cpu_s),
            encrypt_cpu_s=np.array(encrypt_cpu_s),
            download_bytes=np.full(len(users), self._download_bytes),
            upload_bytes=np.array([one.ciphertexts.nbytes + one.blocks.nbytes for one in uploads]),
            upload_rows=upload_rows,
        )

    def _update(
        self, users: Sequence[User], items: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.float64], float]]:
        """Each user's item steps and the CPU seconds it is charged for them.

        One at a time: on a device of its own, too, an update comes between other work, on cold caches.
        """
        groups = [users] if self._together else [[user] for user in users]
        for group in groups:
            started = cpu_clock()
            steps = update(group, items, self._terms)
            seconds = cpu_clock() - started
            ratings = sum(map(len, steps))
            for mine in steps:
                yield mine, seconds * len(mine) / ratings if ratings else seconds


class ServerActor:
    """Hosts the server; built from the public side only."""

    def __init__(
        self,
        evaluator: schemes.Evaluator,
        items: EncryptedItems,
        user_ids: Sequence[int],
        recorded: Container[int] = (),
    ) -> None:
        """recorded: rounds whose uploads are kept until :meth:`seen` asks for them."""
        self._server = Server(evaluator, items, user_ids)
        self._recorded, self._seen = recorded, list[Upload]()

    def receive(self, uploads: Sequence[Upload]) -> float:
        """Check and add uploads; returns CPU seconds."""
        started = cpu_clock()
        for upload in uploads:
            self._server.receive(upload)
        seconds = cpu_clock() - started
        if uploads and uploads[0].round in self._recorded:
            self._seen += uploads
        return seconds

    def seen(self) -> list[Upload]:
        """The uploads of a recorded round in the order of their arrival; asked for once."""
        uploads, self._seen = self._seen, []
        return uploads

    def publish(self) -> tuple[EncryptedItems, float]:
        """Close the round; returns the matrix that opens the next one, and CPU seconds."""
        started = cpu_clock()
        message = self._server.publish()
        return message, cpu_clock() - started


def _cut(counts: Sequence[int]) -> list[slice]:
    """Consecutive users in slices of at most _BLOCK_RATINGS ratings (or one user)."""
    blocks, first, ratings = [], 0, 0
    for at, count in enumerate(counts):
        if at > first and ratings + count > _BLOCK_RATINGS:
            blocks.append(slice(first, at))
            first, ratings = at, 0
        ratings += count
    return [*blocks, slice(first, len(counts))]
