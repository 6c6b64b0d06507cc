"""How item rows share ciphertexts, and the line that tells people."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fedmf_ray.errors import FedMFError
from fedmf_ray.protocol.terms import Terms, column_grids
from fedmf_ray.schemes.paillier.slots import SlotLayout

_MOST_ROWS = 8
"""In full text, rows share ciphertexts in blocks of at most this many: larger ones save no more."""

_FEWER_BITS = (1, 2, 3)
"""So many fraction bits less may be worth a thought."""


@dataclass(frozen=True)
class Packing:
    """``rows`` item rows make a block, and a block fills the ciphertexts of ``slots``."""

    items: int
    rows: int
    slots: SlotLayout

    @classmethod
    def of(cls, slot_bits: int, width: int, items: int, key_bits: int, most: int, full_text: bool) -> Packing:
        """width: columns of a row. most: rows of a block.

        In full text, where all blocks are uploaded: the fewest ciphertexts, then the fewest rows. Otherwise
        what fits one ciphertext, so that nobody uploads two for the sake of one row. Raises
        :class:`FedMFError` if a ciphertext holds no slot.
        """
        fitting = SlotLayout(slot_bits, 1, key_bits).slots_per_ciphertext
        if fitting < 1:
            raise FedMFError(f"protocol: no slot of {slot_bits} bits fits a key of {key_bits} bits")

        def blocks_of(rows: int) -> Packing:
            return cls(items, rows, SlotLayout(slot_bits, rows * width, key_bits))

        if not full_text:
            return blocks_of(max(1, min(fitting // width, most)))
        choices = map(blocks_of, range(1, max(1, min(_MOST_ROWS, most)) + 1))
        return min(choices, key=lambda packing: packing.ciphertexts)

    @property
    def ciphertexts(self) -> int:
        """Of the whole matrix."""
        return -(-self.items // self.rows) * self.slots.ciphertexts_per_row


def line(terms: Terms, key_bits: int) -> str:
    """How rows are packed, and the cheap change that would save ciphertexts, if there is one."""
    now = _packing(terms, terms.grid.slot_bits, key_bits)
    slots = now.slots
    many, shared = slots.ciphertexts_per_row, "a row" if now.rows == 1 else f"per {now.rows} rows"
    text = (
        f"{slots.slot_bits} bits a slot, {slots.slots_per_ciphertext} slots a ciphertext, "
        f"{many} ciphertext{'' if many == 1 else 's'} {shared}"
    )
    if now.rows > 1:
        alone = now.items * SlotLayout(slots.slot_bits, terms.blocks.width, key_bits).ciphertexts_per_row
        text += f": {now.ciphertexts:,} for all items instead of {alone:,}"
    return text + _advice(terms, now, key_bits)


def _advice(terms: Terms, now: Packing, key_bits: int) -> str:
    point = terms.grid.main
    for fewer in _FEWER_BITS:
        if fewer >= point.fraction_bits:
            break
        coarser = column_grids(terms.layout, replace(point, fraction_bits=point.fraction_bits - fewer))
        then = _packing(terms, coarser.slot_bits, key_bits)
        if then.ciphertexts < now.ciphertexts:
            return (
                f" ({then.ciphertexts:,} instead of {now.ciphertexts:,} with protocol.fraction_bits lower by "
                f"{fewer}, or value_bound and update_bound by as much)"
            )
    return ""


def _packing(terms: Terms, slot_bits: int, key_bits: int) -> Packing:
    blocks = terms.blocks
    most, full_text = blocks.items // blocks.servers, terms.part_text_sparsity == 0
    return Packing.of(slot_bits, blocks.width, blocks.items, key_bits, most, full_text)
