"""Everything that a person can name is in the reference, with a meaning."""

import re

import pytest

import fedmf_ray
from fedmf_ray.scenario.keys import keys
from fedmf_ray.scenario.packaged import packaged
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes import SCHEMES
from fedmf_ray.storage.contents import FILES


@pytest.fixture(scope="module")
def keys_page(reference):
    return reference.keys_page()


def leaves(tree, above=""):
    """The dotted keys of a resolved scenario."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


@pytest.mark.parametrize("name", [one.name for one in packaged() if not one.study])
def test_every_key_of_every_scenario_that_a_run_writes_is_in_the_reference(keys_page, name):
    from fedmf_ray.scenario import file as scenario_file

    scenario = scenario_file.load(name)
    assert isinstance(scenario, Scenario)
    for key in leaves(scenario.model_dump(mode="json")):
        assert f"\n`{key}`" in keys_page or f"\n## {key}\n" in keys_page or f"### {key}\n" in keys_page, key


def test_every_key_says_what_it_means():
    assert [key.path for key in keys() if not key.meaning] == []


def test_every_default_is_what_the_scenario_gets(keys_page):
    """The words of the page are read back as a person would read them."""
    entry = re.search(r"^`protocol.key_bits`.*\n: +\*(.+)\*\n\n +(.+)$", keys_page, re.MULTILINE)
    assert entry[1] == "whole number, at most 16,384; default 3072"
    assert entry[2].startswith("Paillier modulus: 2048 gives 112-bit security")
    assert re.search(r"^`observe.who`.*\n: +\*server or user; required\*$", keys_page, re.MULTILINE)
    assert re.search(r"^`cluster.address`.*\n: +\*text; not given\*$", keys_page, re.MULTILINE)
    assert "``" not in keys_page
    assert ":class:" not in keys_page


def test_anchors_are_unique(keys_page):
    anchors = re.findall(r"\{ #(\S+) \}", keys_page)
    assert len(anchors) == len(set(anchors)) > 60


def test_every_column_is_in_the_reference(reference):
    page = reference.files_page()
    for file in FILES:
        section = page.partition(f"\n## {file.name}\n")[2].partition("\n## ")[0]
        for column, meaning in file.holds.items():
            assert f"`{column}`\n:   {meaning}" in section, (file.name, column)
            assert meaning.endswith("."), column


def test_every_public_name_is_in_the_reference(reference):
    page = reference.python_page()
    for name in fedmf_ray.__all__:
        if not name.startswith("_"):
            assert f"\n      heading: fedmf_ray.{name}\n" in page, name


def test_every_public_name_has_a_docstring():
    for name in fedmf_ray.__all__:
        if not name.startswith("_"):
            assert (getattr(fedmf_ray, name).__doc__ or "").strip(), name


def test_every_command_and_option_is_in_the_reference(reference):
    from fedmf_ray.cli.main import cli

    page = reference.commands_page()
    for name, command in cli.commands.items():
        assert re.search(rf"^## fedmf-ray {name}\b", page, re.MULTILINE), name
        for option in (word for parameter in command.params for word in parameter.opts if "--" in word):
            assert option in page, (name, option)


def test_every_scheme_is_in_the_reference(reference):
    page = reference.plug_ins_page()
    assert all(f"`{name}`\n:   " in page for name in SCHEMES.names())
