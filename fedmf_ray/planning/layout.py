"""What a run says before it starts: how rows are laid out, a small change that would save ciphertexts, and
what is unusual about its rounds."""

from __future__ import annotations

from dataclasses import replace

from fedmf_ray.planning.plan import Plan, rows_of
from fedmf_ray.schemes import Rows

_FEWER_BITS = (1, 2, 3)
"""How many fraction bits fewer are tried for the advice."""


def notes(plan: Plan) -> list[str]:
    """Lines worth reading once before a run."""
    lines = [layout_line(plan)]
    if plan.terms.census(0):
        lines.append(
            "a census comes first: in round 0 users count the raters of each item, and learn nothing"
        )
    if not plan.terms.rule.predicts:
        lines.append(
            f"rule {plan.terms.rule.name} makes lists and predicts no ratings: errors are those of each "
            "user's own mean"
        )
    return [*lines, *plan.scheme.notes()]


def layout_line(plan: Plan) -> str:
    """How rows are laid out; of a calibrated run, how those of the charged scheme would be."""
    if plan.charged:
        return (
            f"{plan.scheme.name} integers, charged as {plan.charged.scheme.name}: {layout_line(plan.charged)}"
        )
    return plan.scheme.layout(_rows(plan)) + _shared(plan) + _advice(plan)


def _shared(plan: Plan) -> str:
    """How much the rule's shared tables take, which everybody uploads."""
    blocks = plan.terms.blocks
    if not len(blocks.shared):
        return ""
    numbers, bytes_ = blocks.shared_numbers, len(blocks.shared) * plan.scheme.block_bytes(blocks.shape)
    names = " and ".join(table.name for table in blocks.tables[1:])
    size = f"{numbers:,} more numbers in {bytes_ / 1e6:,.3g} MB"
    return f"; {names}: {size}, which every user uploads{_when(plan)}"


def _when(plan: Plan) -> str:
    """In which rounds, where it is one alone."""
    only = {table.since for table in plan.terms.blocks.tables[1:] if table.until == table.since + 1}
    return f" in round {only.pop()} alone" if len(only) == 1 else ""


def _advice(plan: Plan) -> str:
    point, now = plan.terms.setting.point, plan.scheme.total_pieces(_rows(plan))
    for fewer in _FEWER_BITS:
        if fewer >= point.fraction_bits:
            break
        then = plan.scheme.total_pieces(_rows(plan, point.fraction_bits - fewer))
        if then < now:
            return (
                f" ({then:,} instead of {now:,} with protocol.fraction_bits lower by "
                f"{fewer}, or value_bound and update_bound by as much)"
            )
    return ""


def _rows(plan: Plan, fraction_bits: int | None = None) -> Rows:
    terms = plan.terms
    setting = terms.setting
    if fraction_bits is not None:
        setting = replace(setting, point=replace(setting.point, fraction_bits=fraction_bits))
    return rows_of(terms.rule, setting, terms.part_text_sparsity, terms.blocks.servers)
