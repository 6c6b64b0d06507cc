"""What a user actor adds up of its own users' uploads in one round, on behalf of the servers."""

from __future__ import annotations

from collections.abc import Sequence

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.engine.answers import Receipt
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.combiner import Combiner, deliver_all, join_sums
from fedmf_ray.protocol.messages import EncryptedItems, PartialSum, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.schemes import Evaluator

NOTHING = Receipt(0, {}, 0.0)
"""Where nothing is combined, or not yet."""


class Combining:
    """The combiners of an actor, one for each server, from the opening of a round until they hand over."""

    def __init__(self, evaluator: Evaluator, rosters: Sequence[Roster], blocks: Blocks) -> None:
        """rosters: of this actor's users, for each server."""
        self._evaluator, self._rosters, self._blocks = evaluator, rosters, blocks
        self._combiners: list[Combiner] = []
        self._sums: list[PartialSum] | None = None
        self._receipts = dict[int, Receipt]()
        self._done = set[int]()

    def receive(
        self, call: int, uploads: Sequence[Sequence[Upload]], messages: Sequence[EncryptedItems]
    ) -> None:
        """Check and add uploads of users whom a call has trained, an upload for each server. messages: of the
        round, from each server. Nothing happens if the call is made again: the sums have its uploads."""
        if call in self._done:
            return
        started = cpu_clock()
        if not self._combiners and self._sums is None:
            make, rosters = Combiner, zip(messages, self._rosters, strict=True)
            self._combiners = [make(self._evaluator, one, roster, self._blocks) for one, roster in rosters]
        errors = deliver_all(uploads, self._combiners)
        refused = {uploads[at][0].user_id: error.reason for at, error in errors.items()}
        receipt = Receipt(len(uploads) - len(errors), refused, cpu_clock() - started)
        self._receipts[call] = self._receipts.get(call, NOTHING).plus(receipt)

    def receipt(self, call: int) -> Receipt:
        """All uploads of a call have been received: what became of them."""
        self._done.add(call)
        return self._receipts.get(call, NOTHING)

    def sums(self, calls: int) -> list[PartialSum]:
        """What has been added up, for each server. calls: of training, which must have been done.

        Raises :class:`Lost` if one was not: it will be made again, and its uploads must still be added.
        """
        if len(self._done) < calls:
            raise Lost(f"{len(self._done)} of {calls} calls of training have been done")
        if self._sums is None:
            self._sums = [combiner.finish() for combiner in self._combiners]
            self._combiners = []
        return self._sums

    def joined(
        self, calls: int, messages: Sequence[EncryptedItems], others: Sequence[PartialSum]
    ) -> list[PartialSum]:
        """The same with the sums of other actors, which are given for each server, actor by actor."""
        own, servers = self.sums(calls), len(messages)
        return [
            join_sums(self._evaluator, message, [mine, *others[at::servers]], self._blocks)
            for at, (message, mine) in enumerate(zip(messages, own, strict=True))
        ]
