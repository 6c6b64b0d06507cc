"""The documentation's own code, which lies beside its texts and not in the package."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope="session")
def reference(root):
    """The generator of the reference pages."""
    return _loaded(root / "docs" / "hooks" / "reference.py", "docs_reference")


def _loaded(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
