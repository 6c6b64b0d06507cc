"""What a user who colludes with the servers reads for them."""

from __future__ import annotations

from collections.abc import Sequence

from fedmf_ray.engine.server_actor import join_pieces
from fedmf_ray.privacy.views import ClearUpload
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import KeyHolder


def read_uploads(received: Sequence[Sequence[Upload]], key: KeyHolder, terms: Terms) -> list[ClearUpload]:
    """Uploads in the clear, from the pieces that each of the servers received of them."""
    layout, table = terms.blocks, terms.items
    clear = []
    for upload in join_pieces(received):
        items = upload.blocks < layout.item_count
        integers = key.decrypt(upload.ciphertexts)[items].reshape(-1, layout.width)
        rows = layout.rows_of(upload.blocks[items])
        real = rows < layout.items  # the last block is filled up
        clear.append(ClearUpload(upload.user_id, rows[real], table.to_floats(integers[real])))
    return clear
