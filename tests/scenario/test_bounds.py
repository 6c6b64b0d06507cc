"""Bounds from above: what is too large, too long or too deep is one line, in seconds, not an hour's work."""

import copy
import re
import time
from itertools import pairwise

import pytest
import yaml

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import preflight, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario import yaml_text
from fedmf_ray.study import cells
from tests.support.small_runs import small

BASE = {
    "ratings": {"source": "synthetic", "users": 4, "items": 8, "sparsity": 0.5},
    "model": {"factors": 3},
    "protocol": {"key_bits": 1024},
    "stop": {"rounds": 2},
    "cluster": {"backend": "serial"},
}

NUMBERS = {
    "ratings": ["users", "items", "rank", "noise", "popularity_skew"],
    "test": ["last", "folds"],
    "model": ["factors", "mean", "learning_rate", "reg_user", "reg_item", "reg_user_bias", "reg_item_bias",
              "init_scale"],
    "protocol": ["key_bits", "min_raters", "fraction_bits", "value_bound", "update_bound"],
    "metrics": ["top_k", "every", "relevant_from", "popularity"],
    "stop": ["rounds", "tolerance", "patience", "min_delta"],
    "network": ["upload_gbps", "download_gbps", "latency_s"],
    "devices": ["slowdown", "slowdown_sigma"],
    "cluster": ["users_per_actor", "server_shards", "in_flight", "checkpoint_every", "patience_s"],
}  # fmt: skip
KEYS = [f"{section}.{key}" for section, keys in NUMBERS.items() for key in keys] + ["seed"]


def with_key(key, value):
    tree = copy.deepcopy(BASE)
    scenario_file.assign(tree, key, value)
    return tree | {"name": tree.get("name", "x")}


def complaint(tree):
    """What is said of a scenario before its first actor would start."""
    with pytest.raises(FedMFError) as caught:
        preflight(scenario_file.parse(tree, "x.yaml"), SerialBackend())
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    return said


@pytest.mark.parametrize("value", [10**40, 10**5000, 1e300, 1.7e308], ids=["1e40", "1e5000", "1e300", "max"])
@pytest.mark.parametrize("key", KEYS)
def test_no_number_is_without_a_bound(key, value):
    """The same list as of the sections: a new number must come with its bound."""
    assert complaint(with_key(key, value)).startswith(f"x.yaml: {key}: ")


def test_every_number_of_a_scenario_is_in_the_list():
    resolved = small().model_dump()
    numbers = {
        f"{section}.{key}"
        for section, keys in resolved.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
        if type(value) in (int, float)
    }
    shares = {
        "ratings.sparsity", "test.fraction", "test.fold", "protocol.part_text_sparsity",
        "participation.share", "participation.dropout", "participation.late",
    }  # fmt: skip
    assert numbers - shares <= set(KEYS)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ratings.users", 10**8, "100,000,000 users and 8 items take about .* GB in one process and this"),
        ("ratings", {"source": "synthetic", "users": 2, "items": 10**7, "rank": 10**4}, "ratings.rank: 1000"),
        ("model", {"factors": 10**4, "algorithm": "regular_mf"}, None),
        ("name", "x" * 300, "name: 'xxx.*should have at most 100 characters"),
        ("description", "x" * 10**5, "description: 'xxx.*should have at most 10000"),
        ("cluster.checkpoint_folder", "a\0b", "checkpoint_folder: .*should hold no NUL"),
        ("ratings", {"source": "file", "path": "a\0b"}, "ratings.path: .*should hold no NUL"),
        ("metrics", {"top_k": 1, "measures": ["x"] * 1000}, "measures: .*should have at most 100 items"),
        ("observe", {"who": "user", "rounds": [10**7]}, "observe.rounds.0: 10000000 should be less than"),
    ],
)
def test_products_texts_and_lists(key, value, message):
    tree = with_key(key, value)
    if key == "model":
        tree["ratings"] |= {"users": 10**6, "items": 10**7}
        message = "1,000,000 users and 10,000,000 items take about"
    started = time.perf_counter()
    said = complaint(tree)
    assert time.perf_counter() - started < 5
    assert re.search(message, said), said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 2**128 - 1), ("name", "x" * 100), ("ratings.noise", 1e3), ("ratings.popularity_skew", 40.0),
        ("ratings.sparsity", 1 - 2**-53), ("model.init_scale", 5e-324), ("metrics", {"top_k": 10**5}),
        ("metrics", {"top_k": 2, "relevant_from": 1e6}), ("network.upload_gbps", 1e-9),
        ("devices", {"slowdown": 1e6, "slowdown_sigma": 3.0}),
        ("cluster.users_per_actor", 10**8), ("stop.tolerance", 1e6),
    ],
)  # fmt: skip
def test_what_a_bound_allows_runs(key, value, tmp_path):
    tree = with_key(key, value) | {"test": {"last": 1}}
    assert (run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()) / "summary.json").exists()


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/nothing", "/" + "y" * 300])
def test_a_checkpoint_folder_that_cannot_be_one(folder, tmp_path):
    chosen = scenario_file.parse(with_key("cluster.checkpoint_folder", folder), "x.yaml")
    with pytest.raises(FedMFError, match="cannot be written: .*: set cluster.checkpoint_folder, or FEDMF_ST"):
        run(chosen, tmp_path, Silent())


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in pairwise("abcdefghi")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join(['*' + before] * 10)}]}}\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "more than 20000 keys and values: .*aliases count each time"),
        (MERGES, "more than 20000 keys and values"),
        ("seed: [" + "1, " * 3_000_000 + "1]", "it has more than 1 MB"),
        ("seed: [" + "1, " * 300_000 + "1]", "more than 20000 keys and values"),
        ("a: &a [*a]", "an alias stands inside of its anchor"),
        ("seed: " + "9" * 5000, "an integer has 5000 digits"),
        ("seed: 0x" + "f" * 5000, "an integer has 5002 digits"),
        ("seed: 2001-13-45", "is not YAML: month must be in 1..12"),
        ("seed: !!int x", "is not YAML: invalid literal"),
        ("seed: !!bool x", "is not YAML"),
        ("seed: !!timestamp x", "is not YAML"),
        ("? [1]\n: 2", "is not YAML: .*unhashable key"),
        ("x: " + "[" * 20 + "]" * 20, "keys are nested more than 12 deep"),
        ("[" * 900_000, "is not YAML"),
        ("\n".join(f"key{number}: 1" for number in range(9_000)), "ratings: is missing"),
    ],
    ids=range(15),
)
def test_a_text_that_would_take_long_or_is_no_yaml(tmp_path, content, message):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    started = time.perf_counter()
    with pytest.raises(FedMFError, match=message) as caught:
        scenario_file.load(path)
    assert time.perf_counter() - started < 20  # seconds on a busy machine
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_endless_file_is_not_read_to_its_end():
    with pytest.raises(FedMFError, match=r"^/dev/zero: is not a scenario: it has more than 1 MB"):
        scenario_file.load("/dev/zero")


@pytest.mark.parametrize("override", ["x=" + "9" * 5000, ".".join("a" * 2000) + "=1", "seed=2001-13-45"])
def test_an_override_that_is_too_large(tmp_path, override):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(BASE))
    with pytest.raises(FedMFError, match="digits|nested more than 12|month") as caught:
        scenario_file.load(tmp_path / "x.yaml", [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"seed": list(range(200)), "stop.rounds": list(range(200))}, "has more than 10,000 cells"),
        ({f"k{number}": [1, 2] for number in range(1000)}, "has more than 10,000 cells"),
        ({1: [2]}, "sweep: 1 is no dotted key"),
        ({"a..b": [2]}, "sweep: 'a..b' is no dotted key"),
        ({"zip": {2: [3]}}, "sweep: 2 is no dotted key"),
    ],
)
def test_a_sweep_with_too_many_cells_or_without_keys(tmp_path, sweep, message):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(BASE | {"sweep": sweep}))
    started = time.perf_counter()
    with pytest.raises(FedMFError, match=message) as caught:
        cells.load(tmp_path / "x.yaml")
    assert time.perf_counter() - started < 10
    assert len(str(caught.value)) < 500


def test_a_swept_date_is_shown_as_it_is(tmp_path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(BASE) + "sweep: {seed: [2001-02-03]}")
    with pytest.raises(FedMFError, match=r'cell 0 \(seed="2001-02-03"\): seed: '):
        cells.load(tmp_path / "x.yaml")


def test_a_text_at_the_bounds_is_read(tmp_path):
    """Ten thousand cells, and comments up to the last byte."""
    text = yaml.safe_dump(BASE) + "sweep: {seed: [" + ", ".join(map(str, range(9_999))) + "]}\n"
    path = tmp_path / "x.yaml"
    path.write_text(text + "#" * (yaml_text.MOST_BYTES - len(text)))
    assert len(scenario_file.read(path)["sweep"]["seed"]) == 9_999
