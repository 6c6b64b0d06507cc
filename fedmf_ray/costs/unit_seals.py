"""What it costs users to share the check of published tables, done as often as it takes to time it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedmf_ray.protocol.items import check_form
from fedmf_ray.protocol.ledger import Ledger
from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.protocol.parts import cut_parts
from fedmf_ray.protocol.seals import Sealer, check_credited, check_seals
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import KeyHolder


class SharedCheck:
    """Of the tables that open round 0; methods take a size: 0 is the small one.

    messages, terms: of small and of large tables, of one server each.
    """

    def __init__(self, key: KeyHolder, messages: Sequence[EncryptedItems], terms: Sequence[Terms]) -> None:
        self._key, self._terms, self._messages = key, terms, [[one] for one in messages]
        self._layouts = [one.blocks.opening(0) for one in terms]
        self._ledger, large = Ledger(key, terms[1]), self._layouts[1]
        self.parts = 1, large.count
        """Sizes at which settling is timed."""
        self._cuts = [cut_parts(large, count) for count in self.parts]
        self._shares = [
            [self._sealer.check(self._messages[1], large, at, cut, self._ledger)[1] for at in range(len(cut))]
            for cut in self._cuts
        ]
        ledgers = [Ledger(key, terms[0]), self._ledger]
        self._tokens = []
        for ledger, one, layout in zip(ledgers, self._messages, self._layouts, strict=True):
            whole = cut_parts(layout, 1)
            share = self._sealer.check(one, layout, 0, whole, ledger)[1]
            self._tokens.append(self._sealer.settle([share], one, whole, ledger).token)

    @property
    def _sealer(self) -> Sealer:
        return Sealer(self._key)

    def check(self, at: int) -> None:
        """Check a part."""
        layout = check_form(self._messages[at], self._key, self._terms[at])
        self._sealer.check(self._messages[at], layout, 0, cut_parts(layout, 1), self._ledger)

    def settle(self, at: int) -> None:
        """Settle few or many parts."""
        check_form(self._messages[1], self._key, self._terms[1])
        self._sealer.settle(self._shares[at], self._messages[1], self._cuts[at], self._ledger)

    def seal(self, at: int) -> None:
        """Read the token and check seals; making them takes as long."""
        (message,) = self._messages[at]
        token = self._sealer.token(self._tokens[at], 0)
        check_credited(token, message.credited)
        blocks = np.arange(len(message.ciphertexts))
        try:
            check_seals(token, blocks, message.ciphertexts, np.zeros((len(blocks), 16), np.uint8))
        except ValueError:
            return
