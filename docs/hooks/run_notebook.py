"""Run the tutorial and keep its outputs: `python docs/hooks/run_notebook.py`, after a change of it.

Outputs are committed, so the site shows them without running anything. Only synthetic ratings are in them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "tutorial.ipynb"


def executed(path: Path = NOTEBOOK) -> nbformat.NotebookNode:
    """The notebook with new outputs; raises what its first failing cell raises. Results go to a folder that
    is removed."""
    notebook = nbformat.read(path, as_version=4)
    root = str(path.parent.parent.resolve())
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        changed = {"FEDMF_STATE": f"{folder}/state", "PYTHONPATH": paths, "IPYTHONDIR": f"{folder}/ipython"}
        env = os.environ | changed
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        client.create_kernel_manager()
        # The interpreter that runs this, whatever a kernel of the same name that is installed elsewhere says.
        client.km.kernel_spec.argv[0] = sys.executable
        client.execute(env=env)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
