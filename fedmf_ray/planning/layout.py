"""One line about how item rows are laid out, and about a small change that would save ciphertexts."""

from __future__ import annotations

from dataclasses import replace

from fedmf_ray.planning.plan import Plan, rows_of
from fedmf_ray.schemes import Rows

_FEWER_BITS = (1, 2, 3)
"""How many fraction bits fewer are tried for the advice."""


def layout_line(plan: Plan) -> str:
    """How rows are laid out; of a calibrated run, how those of the charged scheme would be."""
    if plan.charged:
        return (
            f"{plan.scheme.name} integers, charged as {plan.charged.scheme.name}: {layout_line(plan.charged)}"
        )
    return plan.scheme.layout(_rows(plan)) + _advice(plan)


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
