"""Scenario files: every mistake is one line with the path of the key, the value and the remedy."""

import pytest
import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.names import Names
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.observe import Observe
from fedmf_ray.study import cells

BASE = {"ratings": {"source": "synthetic", "users": 3, "items": 4}}


@pytest.fixture
def write(tmp_path):
    def to_file(tree, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
        return path

    return to_file


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("protocol.key_bits=512", r"protocol\.key_bits: 512 is not a key size"),
        ("protocol.key_bits=2049", r"protocol\.key_bits: 2049 is not a key size"),
        (
            "protocol.part_text_sparsity=1.5",
            r"protocol\.part_text_sparsity: 1\.5 should be less than or equal to 1",
        ),
        (
            "protocol.part_text_sparsity=-0.1",
            r"part_text_sparsity: -0\.1 should be greater than or equal to 0",
        ),
        ("protocol.sparsity=1", r"protocol\.sparsity: unknown key"),
        ("colour=red", "colour: unknown key"),
        ("model.factors=many", r"model\.factors: 'many' should be a valid integer"),
        ("model.factors=0", r"model\.factors: 0 should be greater than 0"),
        ("model.learning_rate=.nan", r"model\.learning_rate: nan should be a finite number"),
        ("model.rule=sgd", r"model\.rule: 'sgd' should be one of sequential, batch, ridge"),
        ("ratings.source=web", r"ratings\.source: 'web' must be one of synthetic, movielens, file"),
        ("ratings.source=[file]", r"ratings\.source: \['file'\] must be one of synthetic, movielens, file"),
        ("ratings={users: 3}", r"ratings\.source: must be one of synthetic, movielens, file"),
        ("ratings=3", r"ratings\.source: must be one of synthetic, movielens, file"),
        ("ratings.users=0", r"ratings\.users: 0 should be greater than 0"),
        ("ratings.noise=.inf", r"ratings\.noise: inf should be a finite number"),
        ("ratings={source: file}", r"ratings\.path: is missing"),
        ("ratings={source: synthetic, users: 3}", r"ratings\.items: is missing"),
        ("protocol.keybits=1024", r"protocol\.keybits: unknown key \(did you mean key_bits\?\)$"),
        ("ratings.item=3", r"ratings\.item: unknown key \(did you mean items\?\)$"),
        ("test.fractions=0.5", r"test\.fractions: unknown key \(did you mean fraction\?\)$"),
        ("observe={who: user, round: [1]}", r"observe\.round: unknown key \(did you mean rounds\?\)$"),
        (
            "ratings={source: file, path: x, columns: {users: u}}",
            r"ratings\.columns\.users: unknown key \(did you mean user\?\)$",
        ),
        ("models.factors=3", r"models: unknown key \(did you mean model\?\)$"),
        ("xyz=1", "xyz: unknown key$"),
        ("key_bits=1024", r"key_bits: unknown key here \(did you mean protocol\.key_bits\?\)$"),
        ("users=5", r"users: unknown key here \(did you mean ratings\.users\?\)$"),
        ("ratings.rounds=3", r"ratings\.rounds: unknown key here \(did you mean stop\.rounds\?\)$"),
        ("model.item_item.reg=5", r"model\.item_item: belongs to model\.rule: item_item$"),
        ("protocol.committee.members=5", r"protocol\.committee: belongs to protocol\.scheme: committee$"),
        ("ratings.users=1.5", r"ratings\.users: 1\.5 should be a valid integer"),
        ("ratings.sparsity=1", r"ratings\.sparsity: .*1.* should be less than 1"),
        ("ratings.select.items=3", r"ratings\.select: unknown key"),
        ("test={last: 1, fraction: 0.5}", "test: give one of last, fraction and folds"),
        ("test={last: 1, folds: 5}", "test: give one of last, fraction and folds"),
        ("test={folds: 5, fold: 5}", r"test\.fold: 5 must be below folds \(5\)"),
        ("test={fold: 1}", r"test\.fold: 1 must be below folds \(not given\)"),
        (
            "test={folds: 5, fold: 1, validation: 1}",
            "test.validation: 1 must be below folds and another one",
        ),
        ("test={folds: 5, validation: 5}", "test.validation: 5 must be below folds"),
        ("test={validation: 1}", "test.validation: 1 must be below folds"),
        ("test={folds: 2, validation: 1}", "test.validation: two folds leave nothing"),
        ("test.folds=1", r"test\.folds: 1 should be greater than or equal to 2"),
        ("test={folds: 5, fold: -1}", r"test\.fold: -1 should be greater than or equal to 0"),
        (
            "cluster.users_per_actor=some",
            r"cluster\.users_per_actor: 'some' should be auto or a whole number",
        ),
        ("cluster.users_per_actor=0", r"cluster\.users_per_actor: 0 should be auto or a whole number"),
        ("name=../up", r"name: '\.\./up' should start with a letter or digit"),
        ("seed=true", "seed: True should be a valid integer"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(override, message, write):
    path = write(BASE)
    with pytest.raises(FedMFError, match=message) as caught:
        scenario_file.load(path, [override])
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", "is not YAML"),
        ("- a\n- b\n", "is not a scenario"),
        ("", "is not a scenario"),
        ("seed: 1\nseed: 2\n", "key 'seed' appears twice"),
        ("seed: 1\n", "ratings: is missing"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(content, message, write):
    with pytest.raises(FedMFError, match=message):
        scenario_file.load(write(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FedMFError, match="no such scenario file"):
        scenario_file.load(tmp_path / "none.yaml")
    with pytest.raises(FedMFError, match="is a folder, not a scenario file$"):
        scenario_file.load(tmp_path)
    (tmp_path / "scenario.yaml").touch()
    with pytest.raises(FedMFError, match=r"is a folder, not a scenario file: give .*scenario.yaml$"):
        scenario_file.load(tmp_path)


@pytest.mark.parametrize("override", ["rounds", "=3", "stop..rounds=3", "stop.rounds=[1", "seed.low=1"])
def test_a_malformed_override_is_named(override, write):
    with pytest.raises(FedMFError) as caught:
        scenario_file.load(write(BASE | {"seed": 1}), [override])
    assert str(caught.value).startswith(f"{override}: ")


def test_overrides_reach_any_depth_and_keep_yaml_types(write):
    chosen = scenario_file.load(
        write(BASE), ["stop.rounds=7", "model.learning_rate=1e-2", "stop.tolerance=null", "model.rule=batch"]
    )
    assert (chosen.stop.rounds, chosen.model.learning_rate, chosen.stop.tolerance) == (7, 0.01, None)
    assert chosen.model.rule == "batch"


def test_the_name_is_the_files_unless_given(write):
    assert scenario_file.load(write(BASE)).name == "mine"
    assert scenario_file.load(write(BASE | {"name": "other"})).name == "other"


def test_the_resolved_file_loads_to_the_same_scenario(write):
    chosen = scenario_file.load(write(BASE), ["model.learning_rate=1e-5", "cluster.users_per_actor=auto"])
    assert scenario_file.load(write(chosen.to_yaml(), "again.yaml")) == chosen


def test_relative_paths_start_at_the_scenario_file(write, tmp_path):
    chosen = scenario_file.load(write({"ratings": {"source": "file", "path": "data/r.csv"}}))
    assert chosen.ratings.path == str(tmp_path / "data" / "r.csv")


def test_a_tilde_is_the_home_folder(write, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    chosen = scenario_file.load(write({"ratings": {"source": "file", "path": "~/r.csv"}}))
    assert chosen.ratings.path == str(tmp_path / "home" / "r.csv")


def test_every_scenario_of_the_project_is_valid_and_described(root):
    files = sorted((root / "scenarios").glob("*.yaml"))
    names = {path.stem for path in files}
    assert {"quickstart", "reference-full", "reference-part", "reference-regular", "movielens-part"} <= names
    for path in files:
        is_study = "sweep" in scenario_file.read(path)
        for chosen in (
            [cell.scenario for cell in cells.load(path).cells] if is_study else [scenario_file.load(path)]
        ):
            assert chosen.description, path
        assert path.read_text().startswith("# "), path


def test_every_study_has_a_small_cut(root):
    names = {path.stem for path in (root / "scenarios").glob("study-*.yaml")}
    assert names
    assert {f"{name}-small" for name in names if not name.endswith("-small")} <= names


def test_a_sweep_is_not_run_as_one_scenario(write):
    with pytest.raises(FedMFError, match="holds a sweep: run it with `fedmf-ray sweep`"):
        scenario_file.load(write(BASE | {"sweep": {"seed": [1, 2]}}))


class TestWhoHelps:
    USERS = (1, 2, 3, 4, 5)
    NAMES = Names(users=("anna.k", "bert", "7", "member", "dora"))

    def test_users_may_be_named_as_the_file_has_them(self):
        observe = Observe(who="server", collusion=["bert", 7, "dora"])
        assert observe.users(self.USERS, 0, self.NAMES) == [2, 3, 5]
        assert Observe(who="server", collusion=[3, 1]).users(self.USERS, 0) == [3, 1]

    @pytest.mark.parametrize("who", ["berta", 2, ""])
    def test_one_who_is_not_there_is_named_beside_some_who_are(self, who):
        said = f"no user '?{who}'?: users are 'anna.k', 'bert', '7' and others"
        with pytest.raises(ValueError, match=said):
            Observe(who="server", collusion=[who]).users(self.USERS, 0, self.NAMES)

    def test_nobody_is_named_twice_as_a_number_and_as_a_text(self):
        with pytest.raises(ValueError, match="names a user twice"):
            Observe(who="server", collusion=[7, "7"])

    @pytest.mark.parametrize("given", ["anna.k", 1.5, -1, [-1], 10**11, [True], [[1]], [1.5], {"a": 1}, None])
    def test_what_names_nobody_is_told_all_forms_in_one_line(self, given):
        with pytest.raises(ValueError, match="is none of these: true, a number of users, a list of ids"):
            Observe(who="server", collusion=given)
