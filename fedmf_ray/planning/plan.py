"""A scenario turned into what actors need: who the users are, what they have agreed on, what protects it."""

from __future__ import annotations

from dataclasses import dataclass

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.rules import Rule, Setting
from fedmf_ray.learning.start import Start
from fedmf_ray.planning.population import Population
from fedmf_ray.planning.resolved import resolved
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

    charged: in a calibrated run, the plan of the scheme whose costs are charged. scenario: with every value
    spelled out (:mod:`fedmf_ray.planning.resolved`).
    """

    population: Population
    terms: Terms
    scheme: Scheme
    scenario: Scenario
    charged: Plan | None = None

    @property
    def rated(self) -> bool:
        """Whether users read what they rated alone, and share the check."""
        return self.scenario.protocol.reads_rated

    @property
    def lists_take_more(self) -> bool:
        """Whether users read more for lists than rounds are charged."""
        return (self.rated and bool(self.scenario.metrics.lists)) or not self.terms.rule.predicts

    @classmethod
    def of(cls, scenario: Scenario, population: Population | None = None) -> Plan:
        """population: who takes part, if that is known already."""
        scenario, population = resolved(scenario, population)
        protocol = scenario.protocol
        charged = None
        if protocol.charge:
            scheme = protocol.scheme_of(protocol.charge)
            _check_claim(scheme)
            charged = cls(population, _terms(scenario, population, scheme), scheme, scenario)
        scheme = protocol.scheme_of(protocol.scheme)
        _check_claim(scheme)
        return cls(population, _terms(scenario, population, scheme), scheme, scenario, charged)


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
    setting = setting_of(scenario, population)
    unfit = rule.unfit(setting)
    if unfit:
        raise FedMFError(f"model.{unfit}")
    rows = rows_of(rule, setting, scenario.protocol.part_text_sparsity, servers)
    blocks = Blocks(rule.tables(setting), scheme.rows_per_block(rows), servers)
    if servers > blocks.count:
        raise FedMFError(
            f"cluster.server_shards: {servers} servers cannot share {blocks.count} blocks of items"
        )
    mean, scale = setting.steps.mean, population.scale
    return Terms(
        population.item_ids,
        rule,
        setting,
        blocks,
        scenario.protocol.part_text_sparsity,
        start_of(scenario),
        (scale.low - mean, scale.high - mean) if scenario.metrics.clip else None,
        scenario.protocol.reads_rated and scheme.checks_protected,
    )


def start_of(scenario: Scenario) -> Start:
    """Where vectors begin. The scenario is resolved."""
    model = scenario.model
    assert model.init_scale is not None
    return Start(model.init, model.init_scale, scenario.seed)


def setting_of(scenario: Scenario, population: Population) -> Setting:
    """What everybody agrees on that a rule may need. The scenario is resolved."""
    model, protocol = scenario.model, scenario.protocol
    bits, value, update = protocol.fraction_bits, protocol.value_bound, protocol.update_bound
    assert bits is not None
    assert value is not None
    assert update is not None
    users = len(population.user_ids)
    if not model.central and protocol.min_raters > users:
        raise FedMFError(
            f"protocol.min_raters: {protocol.min_raters}, and there are {users} users: no item has so many "
            "raters, and nothing would be learned"
        )
    point = FixedPoint(bits, value, update, contributors=users)
    factors, biases, rule = model.factors, model.biases, model.rule_object
    if not model.central and not rule.predicts:  # vectors hold one number: what the rule says of ratings
        factors, biases = factors if rule.has_factors else 1, False
    steps, ends = model.steps, (population.scale.low, population.scale.high)
    return Setting(len(population.item_ids), factors, biases, steps, protocol.min_raters, point, ends)


def rows_of(rule: Rule, setting: Setting, part_text_sparsity: float, servers: int) -> Rows:
    """The item rows that a scheme is to protect. Each server keeps a block of its own."""
    items, *shared = rule.tables(setting)
    bits = max(table.slot_bits for table in (items, *shared))
    most, full_text = items.rows // servers, part_text_sparsity == 0
    numbers = sum(table.rows * table.width for table in shared)
    return Rows(items.rows, items.width, bits, most, full_text, numbers)
