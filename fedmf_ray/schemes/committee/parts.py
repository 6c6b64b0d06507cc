"""Parts of an opening: what a group takes off a closed sum, signed by the member that sends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee import keys
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.committee.wire import Part, Sheet, words_digest
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.bits import BitLayout, Words
from fedmf_ray.schemes.masked.checks import is_bytes
from fedmf_ray.schemes.masked.streams import NONCE_BYTES, joined
from fedmf_ray.schemes.masked.wire import HEADER_BYTES, NUMBER_BYTES

Bytes = NDArray[np.uint8]


def part_text(part: Part) -> bytes:
    """What a member signs of its part."""
    nonces = b"" if part.nonces is None else np.ascontiguousarray(part.nonces).tobytes()
    text = b"fedmf-ray committee: a part"
    return joined(text, part.first, part.group, part.closed, part.digest, part.number.tobytes(), nonces)


def check_part(part: Part, public: Public, closed: bytes, shape: tuple[int, ...]) -> None:
    """Raise ``ValueError`` for a part that no member of its group has signed, or of another set. shape: of
    its words."""
    if not (
        isinstance(part.first, int)
        and isinstance(part.member, int)
        and isinstance(part.signature, bytes)
        and (part.nonces is None or is_bytes(part.nonces, (shape[0], NONCE_BYTES)))
        and part.closed == closed
        and part.member in public.groups[part.group]
        and is_bytes(part.words, shape)
        and is_bytes(part.number, (NUMBER_BYTES,))
        and words_digest(words_of(part)) == part.digest
        and keys.is_signed(public.members[part.member], part.signature, part_text(part))
    ):
        raise ValueError(f"the part of group {part.group} is not of a member of it, or of another set")


def check_sheet(sheet: Sheet, public: Public, shape: tuple[int, ...]) -> None:
    """Raise ``ValueError`` for what is no sheet. shape: of what a server has added up."""
    if not (
        isinstance(sheet, Sheet)
        and is_bytes(sheet.totals, shape)
        and is_bytes(sheet.total, (NUMBER_BYTES,))
        and isinstance(sheet.parts, tuple)
        and all(isinstance(part, Part) for part in sheet.parts)
        and [part.group for part in sheet.parts] == list(range(len(public.groups)))
    ):
        raise ValueError("it is not what members compute the next tables from")


def words_of(part: Part) -> Bytes:
    assert part.words is not None
    return part.words


def tables_of(layout: BitLayout, nonces: Bytes, words: Words) -> NDArray[np.uint8]:
    """Rows as they are published. nonces: (rows, 12). words: (rows, columns) under the masks of these."""
    tables = np.empty((len(words), 1, HEADER_BYTES + layout.row_bytes), np.uint8)
    tables[:, 0, 0], tables[:, 0, 1:HEADER_BYTES] = wires.TABLES, nonces
    layout.pack(words, tables[:, 0, HEADER_BYTES:])
    return tables
