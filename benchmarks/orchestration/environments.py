"""A separate environment for each foreign tool, created once and kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

NUMPY = f"numpy=={np.__version__}"
"""The same release everywhere, because the comparison is between tools, not between NumPy releases."""

REQUIREMENTS = {
    "flower": "flwr[simulation]==1.41.0",
    "pfl": "pfl==0.6.0",
    "implicit": "implicit==0.7.3",
    "surprise": "scikit-surprise==1.1.5",  # built from source: needs a C compiler
}


class CannotInstall(Exception):
    """The message is that of pip."""


def python_of(environment: str, folder: Path) -> Path:
    """The interpreter of an environment, created if missing. ``own`` is the running interpreter."""
    if environment == "own":
        return Path(sys.executable)
    wanted = [REQUIREMENTS[environment], NUMPY]
    home = folder / environment
    python, done = home / "bin" / "python", home / "installed"
    if done.is_file() and done.read_text() == "\n".join(wanted):
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
    done.write_text("\n".join(wanted))
    return python


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        raise CannotInstall("; ".join(errors) or ended.stderr.strip()[-300:])
