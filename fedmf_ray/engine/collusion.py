"""What a user who colludes with the servers reads for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.privacy.views import ClearUpload
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import KeyHolder

Integers = NDArray[np.int64]


def read_uploads(
    received: Sequence[Sequence[Upload]], key: KeyHolder, terms: Terms, members: int = 0
) -> list[ClearUpload]:
    """Uploads as the servers read them with a user's key, from the pieces that each of them received.
    members: of a committee, who help."""
    layout, table, clear = terms.blocks, terms.items, []
    pieces: dict[int, list[tuple[Integers, Integers]]] = {}
    for uploads in received:
        for upload in uploads:
            integers = key.read_as(range(members), upload.user_id, upload.ciphertexts, upload.head)
            pieces.setdefault(upload.user_id, []).append((upload.blocks, integers))
    for user_id, parts in pieces.items():
        blocks, integers = (np.concatenate(column) for column in zip(*parts, strict=True))
        items = blocks < layout.item_count
        rows = layout.rows_of(blocks[items])
        real = rows < layout.items  # the last block is filled up
        values = table.to_floats(integers[items].reshape(-1, layout.width)[real])
        clear.append(ClearUpload(user_id, rows[real], values))
    return clear
