"""Damaged, swapped, edited files of a run and its state: it goes on as it should, or one line says why."""

import contextlib
import json
import random
import shutil

import pytest
import yaml

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of, resume, run
from fedmf_ray.errors import FedMFError
from tests.support.small_runs import losses_of, small

CASES = {
    "plain": {"protocol__scheme": "plain", "cluster__users_per_actor": 2},
    "packed": {},
    "masked": {"protocol__scheme": "masked"},
    "committee": {"protocol__scheme": "committee"},
}
ROUNDS = 6
WILD = (
    None, True, 0, -1, 2**70, 1e300, "", "x", "..", "../..", "../../../etc", "/etc/passwd", "/", "~", "a/b",
    "a/../b", "\0", "\n", [], {}, [1], ["../x"], {"a": {}}, "os.system", "fedmf_ray.engine:run",
)  # fmt: skip
"""What an edited value may become."""


class World:
    """A run that may go on, its state, and a bystander that nobody may touch; every trial starts from it."""

    def __init__(self, folder, scheme):
        changes = {"ratings__users": 4, "ratings__items": 8, "stop__rounds": 4, **CASES[scheme]}
        chosen = small(
            **changes, cluster__checkpoint_every=1, cluster__checkpoint_folder=str(folder / "keys")
        )
        self.root, self._clean = folder / "world", folder / "clean"
        self.root.mkdir()
        (self.root / "bystander" / "users").mkdir(parents=True)
        (self.root / "bystander" / "users" / "key").write_text("not yours")
        longer = chosen.model_copy(update={"stop": small(stop__rounds=ROUNDS).stop})
        self.whole = losses_of(run(longer, folder / "whole", Silent()))
        cluster = chosen.cluster.model_copy(update={"checkpoint_folder": str(self.root / "keys")})
        self.run = run(chosen.model_copy(update={"cluster": cluster}), self.root / "results", Silent())
        other = run(chosen.model_copy(update={"cluster": cluster, "seed": 2}), self.root / "other", Silent())
        self.state = checkpoints_of(self.run, small(cluster=cluster.model_dump())).folder
        self._others = checkpoints_of(other, small(cluster=cluster.model_dump())).folder
        shutil.copytree(self.root, self._clean, symlinks=True)

    def restore(self):
        shutil.rmtree(self.root)
        shutil.copytree(self._clean, self.root, symlinks=True)

    def files(self):
        """Of the run and its state; a lock holds nothing."""
        found = [*self.run.rglob("*"), *self.state.rglob("*")]
        return sorted(path for path in found if path.is_file() and path.name != "lock")

    def outside(self):
        """Everything that the run may not change."""
        return {
            path: path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.is_relative_to(self.run) and not path.is_relative_to(self.state)
        }

    def of_another(self, path):
        """The file of the other run that stands where this one does."""
        if path.is_relative_to(self.state):
            return self._others / path.relative_to(self.state)
        (other,) = (self.root / "other" / "small").iterdir()
        return other / path.relative_to(self.run)


def flip(world, chance):
    path = chance.choice(world.files())
    content = bytearray(path.read_bytes() or b"\0")
    for _ in range(chance.choice((1, 1, 1, 8))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(world, chance):
    path = chance.choice(world.files())
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content) + 1)])


def extend(world, chance):
    path = chance.choice(world.files())
    content = path.read_bytes()
    path.write_bytes(content + content[-chance.randrange(1, 400) :])


def remove(world, chance):
    chance.choice(world.files()).unlink()


def swap(world, chance):
    one, other = chance.sample(world.files(), 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first if chance.random() < 0.5 else second)


def foreign(world, chance):
    path = chance.choice(world.files())
    source = world.of_another(path)
    if source.is_file():
        path.write_bytes(source.read_bytes())


def edit(world, chance):
    """A value anywhere in what a run folder says of itself; names of other places among them."""
    name = chance.choice(("environment.json", "environment.json", "scenario.yaml", "summary.json"))
    path = world.run / name
    tree = json.loads(path.read_text()) if name.endswith("json") else yaml.safe_load(path.read_text())
    node, key = tree, chance.choice(list(tree))
    while isinstance(node[key], dict) and node[key] and chance.random() < 0.8:
        node, key = node[key], chance.choice(list(node[key]))
    if name == "environment.json" and chance.random() < 0.5:
        node, key = tree, "checkpoints"
    away = (
        str(world.root / "bystander"),
        "../bystander",
        "bystander/users",
        f"{world._others.parent.name}/..",
    )
    node[key] = chance.choice((*WILD, *away))
    path.write_text(json.dumps(tree) if name.endswith("json") else yaml.safe_dump(tree))


def move_checkpoints(world, chance):
    """The scenario of the run folder names another place, and the environment a folder in it."""
    tree = yaml.safe_load((world.run / "scenario.yaml").read_text())
    tree["cluster"]["checkpoint_folder"] = str(world.root)
    (world.run / "scenario.yaml").write_text(yaml.safe_dump(tree))
    environment = json.loads((world.run / "environment.json").read_text())
    environment["checkpoints"] = chance.choice(
        ("bystander/users", "results/small", "keys/small", "other/small")
    )
    (world.run / "environment.json").write_text(json.dumps(environment))


def link(world, chance):
    path = chance.choice(
        [world.run / name for name in ("rounds.csv", "users.csv.gz", "plots", "events.jsonl")]
    )
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(world.root / "bystander" / "users" / "key")


HARMS = (flip, flip, truncate, extend, remove, swap, foreign, edit, edit, edit, move_checkpoints, link)


def trial(world, seed):
    """How it ended: ``went on``, or the line of the error."""
    world.restore()
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2))):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, yaml.YAMLError):  # harmed before
            chance.choice(HARMS)(world, chance)
    outside = world.outside()
    words = [f"stop.rounds={ROUNDS}", "cluster.backend=serial"]
    try:
        folder = resume(world.run, Silent(), words)
    except FedMFError as error:
        ending = str(error)
        assert "\n" not in ending, seed
    else:
        ending = "went on"
        assert losses_of(folder).equals(world.whole), seed
        assert json.loads((folder / "summary.json").read_text())["rounds"] == ROUNDS, seed
    assert world.outside() == outside, seed
    return ending


@pytest.fixture(scope="module", params=CASES)
def world(request, tmp_path_factory):
    return World(tmp_path_factory.mktemp(request.param), request.param)


def test_some_harms_change_no_result_and_nothing_outside(world):
    endings = [trial(world, seed) for seed in range(60)]
    assert 5 < endings.count("went on") < 55


@pytest.mark.slow
def test_many_harms_change_no_result_and_nothing_outside(world):
    for seed in range(100, 700):
        trial(world, seed)
