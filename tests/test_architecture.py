"""The shape of the code: imports go down, schemes are traits and not names, files have one subject."""

import ast
import re
import subprocess
import sys

import pytest

from fedmf_ray.schemes import SCHEMES

LAYERS = (
    ("errors", "termination"),
    ("registry", "fixed_point", "checks", "files", "compiled", "threads"),
    ("tables",),
    ("ratings", "learning", "schemes"),
    ("scenario", "protocol"),
    ("privacy", "costs"),
    ("planning", "storage"),
    ("engine",),
    ("study", "report"),
    ("api",),
    ("jobs",),
    ("cli",),
    ("__main__", "testing"),
)
"""From the bottom up; docs/architecture.md says what each knows. ``reference`` stands apart."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LONGEST = 300


def modules(root):
    """Path and package of every module of ours."""
    for path in sorted((root / "fedmf_ray").rglob("*.py")):
        parts = path.relative_to(root / "fedmf_ray").parts
        yield path, parts[0].removesuffix(".py")


def imported(tree):
    """The packages of ours that a module imports, anywhere in it, and the line."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "fedmf_ray":
                names = [f"fedmf_ray.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("fedmf_ray."):
                yield name.split(".")[1], node.lineno


def test_no_package_imports_upwards(root):
    upwards = [
        f"{path.relative_to(root)}:{line} imports {target}"
        for path, package in modules(root)
        if package not in ("__init__", "reference", "reference_lists")
        for target, line in imported(ast.parse(path.read_text()))
        if target in LEVEL and LEVEL[target] > LEVEL[package]
    ]
    assert upwards == []


def test_packages_of_one_layer_have_no_circle(root):
    """Within a layer, one may import another, but not both each other."""
    pairs = {
        (package, target)
        for path, package in modules(root)
        if package in LEVEL
        for target, _ in imported(ast.parse(path.read_text()))
        if target != package and LEVEL.get(target) == LEVEL[package]
    }
    assert [pair for pair in pairs if pair[::-1] in pairs] == []


def test_every_module_has_a_layer(root):
    assert {package for _, package in modules(root)} <= {*LEVEL, "__init__", "reference", "reference_lists"}


@pytest.mark.parametrize("page", ["reference.py", "reference_lists.py"])
def test_the_pages_to_read_first_need_nothing_of_ours(root, page):
    tree = ast.parse((root / "fedmf_ray" / page).read_text())
    assert list(imported(tree)) == []


def test_no_module_outside_schemes_knows_a_schemes_name(root):
    """What a module needs to know of a scheme is a trait. The default of ``protocol.scheme`` is one name."""
    names = set(SCHEMES.names())
    found = []
    for path, package in modules(root):
        if package in ("schemes", "testing"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append(f"{path.relative_to(root)}: {node.value!r}")
    assert found == ["fedmf_ray/scenario/schema.py: 'packed'"]


def test_scripts_and_benchmarks_compare_no_schemes_name(root):
    compares = re.compile(rf"[=!]= *[\"']({'|'.join(SCHEMES.names())})[\"']|[\"'] *[=!]=.*scheme")
    for folder in ("analysis", "benchmarks"):
        for path in (root / folder).rglob("*.py"):
            assert not compares.search(path.read_text()), path


def test_no_file_has_two_subjects(root):
    """More than 300 lines need a reason, which the docstring gives ("Long because ...")."""
    files = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in files.split():
        if name.endswith((".py", ".c", ".h")):
            text = (root / name).read_text()
            assert text.count("\n") <= LONGEST or "Long because" in text, name


@pytest.mark.parametrize(
    "heavy", ["pandas", "pydantic", "matplotlib", "scipy", "ray", "yaml", "fedmf_ray.scenario.schema"]
)
def test_user_actors_import_nothing_heavy(heavy):
    """There may be hundreds of these processes."""
    program = f"import sys, fedmf_ray.engine.user_actor; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_package_says_that_it_is_typed(root):
    assert (root / "fedmf_ray" / "py.typed").exists()
