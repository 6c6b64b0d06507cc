"""Prints: secret numbers that stand in tags for the masked rows that are in a sum, whatever these hold.

Tags that bind values alone would let a server leave out a row of zeros: that the round is accepted would tell
that it held zeros, and a guessed step in its place would be tested alike. Print G(nonce, block) is a block of
AES under a key of its own for each head; an upload of all of a server's rows has one print. What is left out,
moved or listed twice changes the sum of prints by a number that only users could foretell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fedmf_ray import threads
from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.listing import each_row
from fedmf_ray.schemes.masked.rounds import Round
from fedmf_ray.schemes.masked.wire import Sums
from fedmf_ray.schemes.sides import Integers, Piece

Bytes = NDArray[np.uint8]


def of_uploads(
    rounds: Mapping[int, Round], nonces: Bytes, blocks: Integers, pieces: Sequence[Piece], full_text: bool
) -> list[int]:
    """For each piece, the sum modulo p of its prints. rounds: by the first block of a server. nonces, blocks:
    (rows, 12) and (rows,) of all pieces."""
    if len(rounds) == 1 and not full_text:
        (one_round,) = rounds.values()
        return field.totals(one_round.prints(nonces, blocks), [(one.begin, one.end) for one in pieces])
    sums = [0] * len(pieces)
    for first, one_round in rounds.items():
        mine = [at for at, one in enumerate(pieces) if one.first == first]
        rows, labels = [], []
        for at in mine:
            begin, end = pieces[at].begin, pieces[at].end
            whole = full_text and end - begin > 1
            rows.append(np.arange(begin, begin + 1 if whole else end))
            labels.append(np.array([wires.WHOLE]) if whole else blocks[begin:end])
        if mine:
            cuts = list(pairwise(np.cumsum([0, *map(len, rows)]).tolist()))
            prints = one_round.prints(nonces[np.concatenate(rows)], np.concatenate(labels))
            for at, total in zip(mine, field.totals(prints, cuts), strict=True):
                sums[at] = total
    return sums


def of_lists(one_round: Round, sums: Sums, first: int) -> int:
    """The sum modulo p of the prints of all uploads in closed sums. first: the server's first block."""
    total = _total(one_round, sums.whole, np.full(len(sums.whole), wires.WHOLE))

    def adding() -> Callable[[tuple[slice, Integers]], int]:
        mine = one_round.another()
        return lambda listed: _total(mine, sums.nonces[listed[0]], listed[1] + first)

    return (total + sum(threads.spread(adding, each_row(sums.counts)))) % field.P


def _total(one_round: Round, nonces: Bytes, labels: Integers) -> int:
    (total,) = field.totals(one_round.prints(nonces, labels), [(0, len(nonces))])
    return total
