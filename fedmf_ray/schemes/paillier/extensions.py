"""The compiled extensions: which there are, and which this machine can run.

Each is the same arithmetic on so many numbers at a time (``native/``), with other instructions. All have the
same functions and give the same bytes. Where one cannot run, only ``obstacle`` may be called.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Extension:
    """name: its kernel's, as in ``FEDMF_KERNEL``; functions: the module, None if it was not built."""

    name: str
    instructions: str
    functions: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (self.name, self.instructions)

    def obstacle(self) -> str | None:
        """Why this machine cannot run it, or None."""
        if self.functions is None:
            return "the extension was not built"
        return str(self.functions.obstacle() or "") or None


def _load(name: str, instructions: str) -> Extension:
    try:
        functions = importlib.import_module(f"fedmf_ray.schemes.paillier._{name}")
    except ImportError:  # there was no compiler at installation
        functions = None
    return Extension(name, instructions, functions)


EXTENSIONS = (
    _load("ifma", "AVX-512 IFMA"),
    _load("fma8", "AVX-512 with fused multiply-adds of 8 doubles"),
    _load("fma4", "AVX2 with fused multiply-adds of 4 doubles"),
    _load("fma2", "fused multiply-adds of 2 doubles"),
)
"""The fastest first."""


def runnable() -> list[Extension]:
    """What this machine can run, the fastest first."""
    return [extension for extension in EXTENSIONS if extension.obstacle() is None]
