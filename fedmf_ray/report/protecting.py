"""Who can read what in a run, in words: from traits of its scheme and rule, and ``protocol.min_raters``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import RULES
from fedmf_ray.report.names import is_central, protected_by
from fedmf_ray.schemes import Reads, Scheme, scheme_of

_SERVER = {
    Reads.NOTHING: "the server reads nothing",
    Reads.ROWS: "the server sees which rows, or blocks of rows, each user uploads, and reads no value",
    Reads.SUMS: "the server reads sums over users, and no upload of a single user",
    Reads.EVERYTHING: "the server reads every upload: nobody is protected from it",
}

_ANY = 1 << 40
"""More users than there are."""

_USERS = {
    1: "an item's only rater shows in it; 3 hides it",
    2: "an item's two raters can work out each other's steps; 3 hides them",
}
"""What the item matrix tells users (docs/threat-model.md), by ``protocol.min_raters``."""


def who_reads(scenario: Mapping[str, Any]) -> list[str]:
    """Who can read what in a run of a resolved scenario, a line each: the scheme, the server, the users.

    A scheme that is not installed here claims nothing, so what the server reads is not said.
    """
    return list(reading(scenario).values())


def reading(scenario: Mapping[str, Any]) -> dict[str, str]:
    """The same, by what a line is about: two runs need not have lines about the same."""
    if is_central(scenario):
        return {"server": f"{protected_by(scenario)}: one process holds all ratings"}
    protocol = scenario["protocol"]
    costed = protocol.get("charge") or protocol["scheme"]
    lines = {"server": _server(protocol, costed)} | _helped(protocol, costed)
    if protocol.get("charge"):
        lines["charge"] = "the simulation itself computed in the clear, and charged the costs of that scheme"
    raters = int(protocol.get("min_raters", 1))
    users = _USERS.get(raters, f"items with fewer raters than {raters} are not trained")
    lines["users"] = f"users read the item matrix: {users} (protocol.min_raters: {raters})"
    if _adds_pairs(scenario["model"]):
        lines["pairs"] = (
            "users read sums over pairs of items, which min_raters says nothing about: where two users alone "
            "add to one, each reads what the other added (docs/threat-model.md)"
        )
    return lines


def _adds_pairs(model: Mapping[str, Any]) -> bool:
    """By the rule's own word; of one that is not installed here nothing is known."""
    try:
        rule = RULES.get(model["rule"])(**(model.get(model["rule"]) or {}))
    except (FedMFError, KeyError, TypeError, ValueError):
        return False
    return rule.adds_pairs


def _helped(protocol: Mapping[str, Any], name: str) -> dict[str, str]:
    """What a server reads that is not alone, by the claim of the scheme."""
    try:
        scheme: Scheme = scheme_of(protocol, name)
    except (FedMFError, KeyError, TypeError, ValueError):
        return {}
    if scheme.server_reads == Reads.EVERYTHING:
        return {}
    if scheme.opened_by(1, 0):
        line = "a server that is helped by one user reads every upload"
        return {"helped": line}
    members = scheme.council.members if scheme.council else 0
    enough = next((count for count in range(1, members + 1) if scheme.opened_by(_ANY, count)), None)
    if enough is None:
        return {"helped": "a server that is helped by any number of users reads no upload of the others"}
    helped = f"{enough - 1} member{'s' if enough != 2 else ''} of the committee"
    line = f"a server that is helped by any number of users and {helped} reads no upload of the others; "
    return {"helped": f"{line}with {enough} members it reads every upload"}


def _server(protocol: Mapping[str, Any], name: str) -> str:
    try:
        scheme: Scheme = scheme_of(protocol, name)
    except (FedMFError, KeyError, TypeError, ValueError):
        return f"{name}: a scheme that is not installed here, so what its server reads is not known"
    reads = _SERVER[scheme.server_reads]
    if scheme.server_reads == Reads.ROWS and protocol.get("part_text_sparsity") == 0:
        reads = "the server reads no value, and sees the same rows from all users (full text)"
    return f"{scheme.label}: {reads}"
