"""Update rules: how users learn from the item matrix, and what they add to it.

``RULES`` is the one list of them. A rule is added to it below, or by the entry point group
``fedmf_ray.rules`` of an installed package; :mod:`fedmf_ray.testing.rules` has the tests that it must pass.
"""

from __future__ import annotations

from fedmf_ray.learning.rules.base import Defaults, Learned, Memory, Rule, Setting
from fedmf_ray.learning.rules.gradient import Batch, GradientRule, Sequential
from fedmf_ray.learning.rules.implicit import Implicit
from fedmf_ray.learning.rules.item_item import ItemItem
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.registry import Registry

__all__ = ["RULES", "Defaults", "GradientRule", "Learned", "Memory", "Rule", "Setting"]


def _check(name: str, offered: object) -> type[Rule]:
    if not (isinstance(offered, type) and issubclass(offered, Rule)):
        raise TypeError("is not a subclass of fedmf_ray.learning.rules.Rule")
    if offered.name != name:
        raise ValueError(f"its class calls itself {offered.name!r}")
    return offered


RULES: Registry[type[Rule]] = Registry("rule", "fedmf_ray.rules", _check)
"""Rules by name, as classes: the fields of a rule are its own settings."""

for _rule in (Sequential, Batch, Ridge, ItemItem, Implicit):
    RULES.register(_rule.name, _rule)
