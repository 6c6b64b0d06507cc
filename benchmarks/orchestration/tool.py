"""Run one tool in its own environment: python tool.py NAME FOLDER ROUNDS (compare.py calls this)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    name, folder, rounds = sys.argv[1:]
    # Imported as a module, so that Ray sends the tool's functions to its workers by name instead of by value.
    importlib.import_module(f"with_{name}").main(Path(folder), int(rounds))
