"""Into which parts users cut published tables that they check together, and how long their messages are
(:mod:`fedmf_ray.protocol.seals`)."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from fedmf_ray.protocol.blocks import Blocks

SEAL_BYTES = 16
DIGEST_BYTES = 32
LETTER_BYTES = 12 + 16
"""What encryption adds to a message between users: a nonce and a MAC."""


class Part(NamedTuple):
    """Consecutive blocks of one server: first to stop (exclusive)."""

    server: int
    first: int
    stop: int


def cut_parts(layout: Blocks, count: int) -> list[Part]:
    """So many parts of all blocks, of about the same size; count: as of :func:`part_count`."""
    ranges = [(server, *pair) for server, pair in enumerate(layout.ranges) if pair[0] < pair[1]]
    # One for each server that has blocks; the others go to where there are more blocks.
    free = layout.count - len(ranges)
    others = min(max(0, count - len(ranges)), free)
    parts, done = list[Part](), 0
    for server, first, stop in ranges:
        size = stop - first
        begin, end = (others * at // max(1, free) for at in (done, done + size - 1))
        each, done = 1 + end - begin, done + size - 1
        cuts = [first + size * at // each for at in range(each + 1)]
        parts += [Part(server, *pair) for pair in itertools.pairwise(cuts)]
    return parts


def part_count(layout: Blocks, block_bytes: int, number_bytes: int, users: int) -> int:
    """In how many parts so many users check tables: a sealer then downloads about as much as the settler,
    who gets a share from each. At least one for each server that has blocks."""
    wanted = math.sqrt(layout.count * block_bytes / share_bytes(number_bytes))
    servers = sum(first < stop for first, stop in layout.ranges)
    return max(servers, min(round(wanted), layout.count, users))


def share_bytes(number_bytes: int) -> int:
    """Of a sealer's message to the settler; number_bytes: of a number that tags are made of."""
    return 2 * DIGEST_BYTES + 2 * number_bytes + LETTER_BYTES


def token_bytes(number_bytes: int, servers: int) -> int:
    """Of the settler's message to everybody."""
    return 3 * DIGEST_BYTES + 2 * servers * number_bytes + LETTER_BYTES
