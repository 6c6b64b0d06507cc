"""The examples of docstrings work as they stand."""

import doctest
import importlib
import pkgutil

import pytest

import fedmf_ray.api

MODULES = [f"fedmf_ray.api.{module.name}" for module in pkgutil.iter_modules(fedmf_ray.api.__path__)]
EXAMPLES = [
    pytest.param(example, id=example.name)
    for module in MODULES
    for example in doctest.DocTestFinder().find(importlib.import_module(module))
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_gives_what_it_says(example):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)


def test_every_function_has_an_example():
    with_one = {example.values[0].name.rpartition(".")[2] for example in EXAMPLES}
    assert with_one >= {"run", "resume", "sweep", "estimate", "audit", "load"}
