"""The server actor: a process that hosts a server, or one range of its item matrix.

Built from the public side only. An upload that is sent again after a failure is added once.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.engine.answers import Receipt
from fedmf_ray.errors import FedMFError
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.messages import (
    NOBODY,
    Closed,
    EncryptedItems,
    Opening,
    PartialSum,
    Proof,
    Upload,
)
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server
from fedmf_ray.schemes import CouncilEvaluator, Evaluator
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import Part

if TYPE_CHECKING:
    from fedmf_ray.engine.backends import Backend, Reference

NO_USER = -1
"""Stands for the sender of an upload whose user id is not a number."""


class ServerActor:
    """Hosts the server of a range of blocks."""

    def __init__(
        self,
        evaluator: Evaluator,
        items: EncryptedItems,
        roster: Roster,
        recorded: Container[int] = (),
        blocks: Blocks | None = None,
    ) -> None:
        """recorded: rounds whose uploads are kept until :meth:`seen` asks for them. blocks: as of
        :class:`Server`."""
        self._evaluator = evaluator
        self._server = Server(evaluator, items, roster, blocks)
        self._recorded, self._seen = recorded, list[Upload]()

    def receive(self, uploads: Sequence[Upload], again: bool = False) -> Receipt:
        """Check and add uploads. again: those that have been added already are sent once more."""
        started = cpu_clock()
        known = frozenset(self._server.added.tolist()) if again else frozenset[int]()
        recorded = self._server.round in self._recorded
        now = self._server.round
        fresh = [one for one in uploads if not (_sender(one) in known and one.round == now)]
        errors = self._server.receive_all(fresh)
        refused = {_sender(fresh[place]): error.reason for place, error in errors.items()}
        seconds = cpu_clock() - started
        if recorded:
            self._seen += [upload for place, upload in enumerate(fresh) if place not in errors]
        return Receipt(len(fresh) - len(errors), refused, seconds)

    def retract(self, uploads: Sequence[Upload], user_ids: Container[int]) -> None:
        """Take out again what these users uploaded here: another server refused their other part."""
        for upload in uploads:
            if upload.user_id in user_ids:
                self._server.retract(upload)

    def merge(self, partial: PartialSum) -> None:
        """Add what a combiner has added up. Not charged: it is the simulation's, each upload was."""
        self._server.merge(partial)

    def added(self) -> list[int]:
        """Whose uploads have been added in the open round."""
        users: list[int] = self._server.added.tolist()
        return users

    def seen(self) -> list[Upload]:
        """The uploads of a recorded round in the order of their arrival; asked for once."""
        uploads, self._seen = self._seen, []
        return uploads

    def close(self, *combined: int) -> tuple[Closed | None, float, int]:
        """Close the round: nothing is added any more. What an opener needs, CPU seconds, and how many users
        are in the sum.

        combined: of how many users combiners hand over sums, if they do. Without them all the round stays
        open, and the number says how many there are.
        """
        started = cpu_clock()
        added = len(self._server.added)
        if combined and added != sum(combined):
            return None, 0.0, added
        closed = self._server.close()
        if isinstance(self._evaluator, CouncilEvaluator):  # its members need no sums, only lists
            closed = self._evaluator.lists_of(closed)
        return closed, cpu_clock() - started, added

    def hold(self, closed: Closed | None) -> None:
        """Let go of the memory of what :meth:`close` gave; here it is again, where processes share it."""
        if closed is not None:
            self._server.hold(closed)

    def assemble(self, members: Sequence[int], *answers: Sequence[Any]) -> tuple[Any, ...]:
        """From what members of a committee have answered: what each of those who sign needs to compute the
        next tables, these tables, and CPU seconds."""
        started = cpu_clock()
        closed, parts = self._server.close(), [part for answer in answers for part in answer]
        with _refusing(self._server.round):
            draft = self._council.assemble(closed, parts)
        return (*self._council.sheets(closed, parts, members), draft, cpu_clock() - started)

    def certified(
        self, run: bytes, lives: Sequence[bytes], words: Sequence[Any], draft: Opening
    ) -> tuple[Opening, float]:
        """The next tables with the words of members, and CPU seconds."""
        started = cpu_clock()
        with _refusing(self._server.round):
            return self._council.certified(run, draft, lives, words), cpu_clock() - started

    @property
    def _council(self) -> CouncilEvaluator:
        return cast(CouncilEvaluator, self._evaluator)

    def publish(self, opening: Opening | None = None) -> tuple[EncryptedItems | None, float]:
        """The matrix that opens the next round, and CPU seconds; no matrix if the round is not closed."""
        started = cpu_clock()
        if not self._server.closed:
            return None, 0.0
        return self._server.publish(opening), cpu_clock() - started

    def save(self, part: Part, message: EncryptedItems) -> str:
        """Write a published matrix; returns the file's digest."""
        tag = np.array([], np.uint8) if message.tag is None else message.tag
        arrays: dict[str, NDArray[Any]] = {
            "round": np.array(message.round),
            "first": np.array(message.first),
            "ciphertexts": message.ciphertexts,
            "tag": tag,
            "credited": message.credited,
        }
        if message.proof is not None:
            for name, text in (
                ("head", message.head),
                ("before", message.proof.before),
                ("rest", message.proof.rest),
            ):
                arrays[name] = np.frombuffer(text, np.uint8)
            arrays["seals"] = message.proof.seals
            arrays["links"] = np.array(
                [np.frombuffer(link, np.uint8) for link in message.proof.links], np.uint8
            )
        return checkpoint_files.save(part, arrays)

    def ping(self) -> int:
        """Answers, if it lives, with the number of its process."""
        return os.getpid()


def _sender(upload: Upload) -> int:
    return upload.user_id if type(upload.user_id) is int else NO_USER


def load_items(part: Part) -> EncryptedItems:
    """What :meth:`ServerActor.save` wrote."""
    saved = checkpoint_files.load(part)
    tag = saved["tag"] if len(saved["tag"]) else None
    credited = saved["credited"] if len(saved["credited"]) else NOBODY
    round_number, first = int(saved["round"]), int(saved["first"])
    items = EncryptedItems(round_number, first, saved["ciphertexts"], tag, credited)
    if "head" not in saved:
        return items
    head, before, rest = (saved[name].tobytes() for name in ("head", "before", "rest"))
    links = tuple(link.tobytes() for link in saved["links"])
    return replace(items, head=head, proof=Proof(before, rest, saved["seals"], links))


def load_all(backend: Backend, parts: Sequence[Part]) -> list[Reference]:
    """References to what is in these files; raises what reading one of them raises."""
    items = [backend.run(load_items, part) for part in parts]
    backend.get(backend.run(_all_read, *items))
    return items


def _all_read(*_: Any) -> None:
    """A task with these values as arguments fails if one of them could not be read."""


@contextmanager
def _refusing(round_number: int) -> Iterator[None]:
    """What members answered does not fit: the run ends with the reason."""
    try:
        yield
    except ValueError as error:
        raise FedMFError(f"round {round_number}: the committee's answers do not fit: {error}") from error


def join_pieces(received: Sequence[Sequence[Upload]]) -> list[Upload]:
    """Uploads from the pieces that each of several servers received of them, in order of arrival there."""
    if len(received) == 1:
        return list(received[0])
    pieces: dict[int, list[Any]] = {}
    for uploads in received:
        for upload in uploads:
            pieces.setdefault(upload.user_id, []).append(upload)
    return [
        Upload(
            parts[0].round,
            user_id,
            np.concatenate([part.blocks for part in parts]),
            np.concatenate([part.ciphertexts for part in parts]),
            None,
        )
        for user_id, parts in pieces.items()
    ]
