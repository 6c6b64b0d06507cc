"""Files that must stay in step with each other."""

import re

import yaml

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def test_environment_yml_asks_for_what_pyproject_asks_for(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    given = {entry.replace("matplotlib-base", "matplotlib") for entry in [*conda, *pip]} - {"pip", "-e ."}
    assert given == {*project["dependencies"], f"python{project['requires-python']}"}


def test_every_make_target_that_the_docs_name_exists(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    for document in (root / "README.md", root / "CONTRIBUTING.md", root / ".ci" / "run"):
        assert set(re.findall(r"\bmake ([a-z-]+)\b", document.read_text())) - {"sure"} <= targets, document
