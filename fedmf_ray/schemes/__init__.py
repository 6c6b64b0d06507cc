"""Protect whole matrices of integers that are added up, exactly: schemes as objects with traits.

Threat model (the paper's): the server is honest but curious and sees ciphertexts only; all users share
one Paillier key pair and do not collude with the server. A server that holds one user's key reads
everything. Paillier gives semantic security to ciphertexts: it hides neither which rows a user
uploads nor how many. Additions are malleable by design; tags (:mod:`fedmf_ray.schemes.tags`) make users
notice a server that adds anything else.

``SCHEMES`` is the one list of schemes. A scheme is added to it below, or by the entry point group
``fedmf_ray.schemes`` of an installed package; :mod:`fedmf_ray.testing.schemes` has the tests that it must
pass, and what it claims is tried before it runs (:mod:`fedmf_ray.schemes.claims`). No module outside this
package compares a scheme's name: what it needs to know is a trait.

This is a simulator, not a hardware security module: arithmetic is not constant time, and which entries of
a table are read depends on the secret randomness of a ciphertext. Other processes on a machine could see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmf_ray.errors import FedMFError
from fedmf_ray.registry import Registry
from fedmf_ray.schemes.base import (
    Aggregate,
    Evaluator,
    KeyHolder,
    Known,
    Piece,
    Reads,
    Rows,
    Scheme,
    Secrets,
    Shape,
    Tags,
)
from fedmf_ray.schemes.committee import Committee
from fedmf_ray.schemes.council import (
    AnotherSet,
    Council,
    CouncilEvaluator,
    CouncilKeyHolder,
    listed_digest,
    run_of,
)
from fedmf_ray.schemes.masked import Masked
from fedmf_ray.schemes.paillier.scheme import Elementwise, Packed
from fedmf_ray.schemes.plain import Plain

__all__ = [
    "IN_THE_CLEAR",
    "SCHEMES",
    "Aggregate",
    "AnotherSet",
    "Committee",
    "Council",
    "CouncilEvaluator",
    "CouncilKeyHolder",
    "Elementwise",
    "Evaluator",
    "KeyHolder",
    "Known",
    "Masked",
    "Packed",
    "Piece",
    "Plain",
    "Reads",
    "Rows",
    "Scheme",
    "Secrets",
    "Shape",
    "Tags",
    "listed_digest",
    "protection",
    "run_of",
    "scheme_of",
]


def _check(name: str, offered: object) -> type[Scheme]:
    if not (isinstance(offered, type) and issubclass(offered, Scheme)):
        raise TypeError("is not a subclass of fedmf_ray.schemes.Scheme")
    if offered.name != name:
        raise ValueError(f"its class calls itself {offered.name!r}")
    return offered


SCHEMES: Registry[type[Scheme]] = Registry("scheme", "fedmf_ray.schemes", _check)
"""Schemes by name, as classes: the fields of a scheme are its own settings."""

for _scheme in (Plain, Elementwise, Packed, Masked, Committee):
    SCHEMES.register(_scheme.name, _scheme)

IN_THE_CLEAR = Plain()
"""What everybody may read: initial values, and calibrated runs, which are charged another scheme's costs."""


def scheme_of(protocol: Mapping[str, Any], name: str | None = None) -> Scheme:
    """The scheme of a scenario's section ``protocol``, or another one (the one that is charged) with the
    settings that it finds there."""
    return SCHEMES.get(name or protocol["scheme"]).configured(protocol)


def protection(protocol: Mapping[str, Any]) -> str:
    """``packed, 3072 bits``, ``plain``, ``elementwise, 1024 bits (charged)``: for titles, legends and tables.

    protocol: the section ``protocol`` of a scenario. All keys but ``scheme`` may be missing, for the table of
    a study has only those that it swept; what is missing is not named. Of a scheme that is not known
    here, the name is all there is to say.
    """
    charge = protocol.get("charge")
    name = str(charge or protocol["scheme"])
    try:
        text = scheme_of(protocol, name).label
    except (FedMFError, KeyError, TypeError, ValueError):
        text = name
    return f"{text} (charged)" if charge else text
