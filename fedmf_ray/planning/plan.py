"""A scenario turned into what actors need: who the users are, what they have agreed on, what protects it."""

from __future__ import annotations

from dataclasses import dataclass

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.rules import Rule, Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.planning.population import Population
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes import SCHEMES, Rows, Scheme
from fedmf_ray.schemes.claims import refuted

_refutations: dict[str, str | None] = {}
"""What was found of schemes that have been checked in this process."""


@dataclass(frozen=True)
class Plan:
    """All decisions that are made before the first actor starts.

    charged: in a calibrated run, the plan of the scheme whose costs are charged.
    """

    population: Population
    terms: Terms
    scheme: Scheme
    charged: Plan | None = None

    @classmethod
    def of(cls, scenario: Scenario) -> Plan:
        population, protocol = Population.of(scenario), scenario.protocol
        charged = None
        if protocol.charge:
            scheme = protocol.scheme_of(protocol.charge)
            _check_claim(scheme)
            charged = cls(population, _terms(scenario, population, scheme), scheme)
        scheme = protocol.scheme_of(protocol.scheme)
        _check_claim(scheme)
        return cls(population, _terms(scenario, population, scheme), scheme, charged)


def _check_claim(scheme: Scheme) -> None:
    """Raise :class:`FedMFError` if the scheme of a plug-in claims more than it keeps: results would say that
    a server cannot read what it can. Those of this package are held to it by tests."""
    origin = SCHEMES.origin(scheme.name)
    if origin is None:
        return
    name = f"scheme {scheme.name!r}"
    if repr(scheme) not in _refutations:
        try:
            _refutations[repr(scheme)] = refuted(scheme)
        except FedMFError:
            raise
        except Exception as error:  # whatever a plug-in raises
            what = " ".join(str(error).split())[:300]
            raise FedMFError(f"{origin}: {name} cannot be checked: {type(error).__name__}: {what}") from error
    reason = _refutations[repr(scheme)]
    if reason is not None:
        claim = f"{name} claims that its server reads no more than {scheme.server_reads.value}"
        raise FedMFError(f"{origin}: {claim}, but {reason}")


def _terms(scenario: Scenario, population: Population, scheme: Scheme) -> Terms:
    model, servers = scenario.model, scenario.cluster.server_shards
    rule = model.rule_object
    setting = setting_of(scenario, len(population.item_ids), len(population.user_ids))
    unfit = rule.unfit(setting)
    if unfit:
        raise FedMFError(f"model.{unfit}")
    rows = rows_of(rule, setting, scenario.protocol.part_text_sparsity, servers)
    blocks = Blocks(rule.tables(setting), scheme.rows_per_block(rows), servers)
    if servers > blocks.count:
        raise FedMFError(
            f"cluster.server_shards: {servers} servers cannot share {blocks.count} blocks of items"
        )
    return Terms(
        population.item_ids,
        rule,
        setting,
        blocks,
        scenario.protocol.part_text_sparsity,
        Start(model.init, model.init_scale, scenario.seed),
    )


def setting_of(scenario: Scenario, items: int, users: int) -> Setting:
    """What everybody agrees on that a rule may need."""
    model, protocol = scenario.model, scenario.protocol
    point = FixedPoint(
        protocol.fraction_bits, protocol.value_bound, protocol.update_bound, contributors=users
    )
    factors, biases, rule = model.factors, model.biases, model.rule_object
    if not model.central and not rule.predicts:  # vectors hold one number: what the rule says of ratings
        factors, biases = factors if rule.has_factors else 1, False
    return Setting(items, factors, biases, model.steps, protocol.min_raters, point)


def rows_of(rule: Rule, setting: Setting, part_text_sparsity: float, servers: int) -> Rows:
    """The item rows that a scheme is to protect. Each server keeps a block of its own."""
    items, *shared = rule.tables(setting)
    bits = max(table.slot_bits for table in (items, *shared))
    most, full_text = items.rows // servers, part_text_sparsity == 0
    numbers = sum(table.rows * table.width for table in shared)
    return Rows(items.rows, items.width, bits, most, full_text, numbers)
