"""The tutorial runs, cell by cell, as a reader would run it, and holds the outputs that it should."""

import importlib.util

import nbformat
import pytest


@pytest.fixture(scope="module")
def path(root):
    return root / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def executed(root, path):
    spec = importlib.util.spec_from_file_location("run_notebook", root / "docs" / "hooks" / "run_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.executed(path)


def texts(notebook):
    """What each code cell printed or showed as text, by its source."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs]
            found[cell.source] = "\n".join(parts)
    return found


def shown(notebook, word):
    """The text output of the one cell whose source has a word."""
    (text,) = [output for source, output in texts(notebook).items() if word in source]
    return text


def test_the_model_beats_averages_and_encryption_changes_no_bit(executed):
    simple, model = (
        float(line.split(":")[1].split()[0])
        for line in shown(executed, "averages alone").strip().splitlines()
    )
    assert 0 < model < 0.8 * simple
    assert "to the last bit: True" in shown(executed, "same errors")


def test_the_audit_recovers_everything_in_the_clear_and_nothing_under_encryption(executed):
    recovered = {
        name: [float(line.split()[-1]) for line in shown(executed, f"audit({name}.").splitlines()[1:]]
        for name in ("plain", "encrypted")
    }
    assert max(recovered["plain"]) >= 0.999
    assert set(recovered["encrypted"]) == {0.0}


def test_a_list_has_titles(executed):
    assert shown(executed, "recommend").count("A book of ") == 5


def test_the_committed_outputs_are_those_of_the_cells_that_are_there(path):
    """Outputs are committed; a cell without its own would leave a gap on the site. No path of a machine is in
    them."""
    notebook = nbformat.read(path, as_version=4)
    silent = [
        cell.source.splitlines()[0]
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.outputs
    ]
    assert silent == []
    assert not any(
        output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ())
    )
    text = path.read_text()
    assert "/home/" not in text
    assert "/tmp/" not in text
    assert "ml-latest" not in text


def test_committed_outputs_are_still_what_cells_say(path, executed):
    """Errors and lists, not seconds."""
    committed = nbformat.read(path, as_version=4)
    for word in ("averages alone", "recommend", "run.predict"):
        assert shown(committed, word) == shown(executed, word)
