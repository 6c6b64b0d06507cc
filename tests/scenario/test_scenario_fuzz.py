"""Ten thousand malformed scenarios: always one line that says what is wrong, never a traceback."""

import copy
import random

import pytest
import yaml

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.run import preflight
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study import cells

VALUES = [
    None, True, False, 0, -1, 1, 2**62, 2**70, 10**12, -(10**30), 10**30, 10**5000,
    0.0, -0.5, 5e-324, 1e300, 1e308, -1e308, float("inf"), float("nan"), "", "auto",
    "x" * 300, "x" * 2000, "\n", "a\0b", "ünïcödé\u202e", "../../etc", "/etc/passwd", "~nobody/x",
    [], [1, "a", None], {}, {"a": {"b": 1}}, {1: 2}, [[[[]]]],
    "2001-01-01", "0x10", "1e3", "packed", "serial", "never",
]  # fmt: skip

BYTES = [
    b"", b"\x00\x01\x02", b"\xff\xfe\x00", b"name: [", b"a: &a [*a]", b"- 1\n- 2", b"{{{{",
    b"name: x\nname: y",
    b"? [1]\n: 2", b"!!python/object:os.system x", b"%YAML 9.9", b"\xef\xbb\xbfname: x", b"a: *nobody",
    b"\t: 1",
    b"a: &x [1,1,1,1,1,1,1,1]\nb: &y [*x,*x,*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y,*y]\nratings: [*z,*z,*z]",
    b"ratings: " + b"[" * 400 + b"]" * 400, b"ratings: {source: synthetic, users: 1e9, items: .inf}",
]  # fmt: skip


def nodes(tree, path=()):
    """Every place in a tree."""
    yield path
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from nodes(child, (*path, key))


def mutated(tree, chance):
    tree = copy.deepcopy(tree)
    for _ in range(chance.randint(1, 4)):
        path = chance.choice(list(nodes(tree))[1:] or [()])
        if not path:
            return tree
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        action = chance.randrange(4)
        if action == 0 and isinstance(parent, dict):
            del parent[path[-1]]
        elif action == 1 and isinstance(parent, dict):
            parent[chance.choice(["unknown", "users", "source", "", "a.b", 7, None])] = chance.choice(VALUES)
        else:
            parent[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return tree


def huge(tree):
    """Whether it holds what cannot even be written as YAML."""
    if isinstance(tree, dict | list):
        return any(map(huge, tree.values() if isinstance(tree, dict) else tree))
    return type(tree) is int and abs(tree) > 10**4000


def complaint(function, *arguments):
    """What a function says is wrong, or None if nothing is."""
    try:
        function(*arguments)
    except FedMFError as error:
        return str(error)
    return None


def fuzz(root, tmp_path, count, seed):
    chance = random.Random(seed)
    trees = [yaml.safe_load(path.read_text()) for path in sorted((root / "scenarios").glob("*.yaml"))]
    for tree in trees:
        tree.setdefault("name", "x")
    valid = 0
    for number in range(count):
        tree = mutated(chance.choice(trees), chance)
        tree.pop("sweep", None)
        said = complaint(scenario_file.parse, tree, "x.yaml")
        valid += said is None
        assert "\n" not in (said or ""), repr(tree)[:1000]
        assert len(said or "") < 1000
        if said is None:  # and then nothing may be too large for what comes before a run
            chosen = scenario_file.parse(tree, "x.yaml")
            if chosen.ratings.source == "synthetic":
                assert "\n" not in (complaint(preflight, chosen, SerialBackend()) or "")
        if number % 10 == 0 and not huge(tree):  # reading is slower than checking
            path = tmp_path / "x.yaml"
            path.write_text(yaml.safe_dump(tree, allow_unicode=True))
            word = chance.choice(["a=1", "ratings.users=", "=", "stop.rounds=[", "x", "stop=3"])
            for read in (scenario_file.load, cells.load):
                assert "\n" not in (complaint(read, path, [word]) or ""), tree
    assert 0 < valid < count  # the mutations are neither all harmless nor all fatal


def test_mutated_scenarios(root, tmp_path):
    fuzz(root, tmp_path, 400, seed=0)


@pytest.mark.slow
def test_ten_thousand_mutated_scenarios(root, tmp_path):
    fuzz(root, tmp_path, 10_000, seed=1)


def fuzz_studies(root, tmp_path, count, seed):
    """Only what a sweep says is mutated: the rest has its own test."""
    chance, path = random.Random(seed), tmp_path / "x.yaml"
    trees = [yaml.safe_load(path.read_text()) for path in sorted((root / "scenarios").glob("study-*.yaml"))]
    for _ in range(count):
        tree = copy.deepcopy(chance.choice(trees))
        tree["sweep"] = mutated({"x": tree["sweep"]}, chance).get("x")
        if huge(tree):
            continue
        path.write_text(yaml.safe_dump(tree, allow_unicode=True))
        said = complaint(cells.load, path) or ""
        assert "\n" not in said, repr(tree)[:1000]
        assert len(said) < 1000


def test_mutated_studies(root, tmp_path):
    fuzz_studies(root, tmp_path, 60, seed=2)


@pytest.mark.slow
def test_many_mutated_studies(root, tmp_path):
    fuzz_studies(root, tmp_path, 1500, seed=3)


@pytest.mark.parametrize("content", BYTES, ids=range(len(BYTES)))
def test_files_that_are_no_scenarios(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    for read in (scenario_file.load, cells.load):
        said = complaint(read, path)
        assert said
        assert "\n" not in said
        assert len(said) < 5000


@pytest.mark.parametrize("chance", [random.Random(seed) for seed in range(5)], ids=range(5))
def test_a_scenario_file_with_torn_or_flipped_bytes(root, tmp_path, chance):
    whole = (root / "scenarios" / "movielens-part.yaml").read_bytes()
    path = tmp_path / "x.yaml"
    for _ in range(40):
        content = bytearray(whole[: chance.randrange(1, len(whole))])
        for _ in range(chance.randrange(4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        assert "\n" not in (complaint(scenario_file.load, path) or "")
