"""Compiled extensions, which installations may lack: NumPy does their work then, to the same bits."""

from __future__ import annotations

import importlib
import os
from typing import Any


def extension(module: str, variable: str) -> Any:
    """The extension module of this name, or None: it was not built, or the environment variable says
    ``numpy``."""
    if os.environ.get(variable, "") == "numpy":
        return None
    try:
        return importlib.import_module(module)
    except ImportError:  # no compiler when it was installed
        return None
