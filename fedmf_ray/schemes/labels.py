"""What protects a run, in a few words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WITH_KEYS = ("elementwise", "packed")


def protection(protocol: Mapping[str, Any]) -> str:
    """``packed, 3072 bits``, ``plain``, ``elementwise, 1024 bits (charged)``: for titles, legends and tables.

    protocol: the section ``protocol`` of a scenario. All keys but ``scheme`` may be missing, for the table of
    a study has only those that it swept; what is missing is not named. Of a scheme that is not known
    here, the name is all there is to say.
    """
    charge = protocol.get("charge")
    scheme, bits = charge or protocol["scheme"], protocol.get("key_bits")
    text = f"{scheme}, {bits} bits" if scheme in _WITH_KEYS and bits else str(scheme)
    return f"{text} (charged)" if charge else text
