"""The small scenario that tests of whole runs start from."""

import copy

import pandas as pd

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.scenario import file as scenario_file

LOSSES = ["train_mse", "test_rmse", "test_mae"]


def small(**changes):
    """Seven synthetic users, three rounds, in one process."""
    tree = {
        "name": "small",
        "ratings": {"source": "synthetic", "users": 7, "items": 12, "sparsity": 0.5},
        "test": {"last": 2},
        "model": {"factors": 4, "learning_rate": 0.02, "init_scale": 0.3},
        "protocol": {"key_bits": 1024},
        "stop": {"rounds": 3},
        "cluster": {"backend": "serial"},
    }
    for dotted, value in changes.items():
        *sections, key = dotted.split("__")
        node = tree
        for section in sections:
            node = node[section]
        node[key] = copy.deepcopy(value)  # later changes must not reach the caller's
    return scenario_file.parse(tree, "small.yaml")


def rounds_of(tmp_path, **changes):
    return pd.read_csv(run(small(**changes), tmp_path, Silent()) / "rounds.csv")


def losses_of(folder):
    """Of every round of a run folder."""
    return pd.read_csv(folder / "rounds.csv")[["round", *LOSSES]]


class Noting(Silent):
    """Keeps what a person would be told."""

    def __init__(self):
        self.notes = []

    def note(self, line):
        self.notes.append(line)


def run_and_notes(scenario, results):
    """The folder of a run, and its notes."""
    noting = Noting()
    return run(scenario, results, noting), noting.notes
