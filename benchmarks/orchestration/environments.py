"""An environment of its own for each foreign tool, made once and kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

NUMPY = f"numpy=={np.__version__}"
"""The same everywhere: the comparison is of tools, not of NumPy's releases."""

REQUIREMENTS = {
    "flower": "flwr[simulation]==1.41.0",
    "pfl": "pfl==0.6.0",
    "surprise": "scikit-surprise==1.1.5",  # built here: needs a C compiler
}


class CannotInstall(Exception):
    """The reason, in pip's words."""


def python_of(environment: str, folder: Path) -> Path:
    """The interpreter of an environment, which is made if it is not there; ``own`` is the one that runs."""
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
