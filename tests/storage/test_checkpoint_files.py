"""A file that is not the one that was written is never taken for it."""

import random

import numpy as np
import pytest

from fedmf_ray.schemes.numbers import array_to_numbers, numbers_to_array
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import CheckpointError, Part

ARRAYS = {
    "a": np.arange(50.0),
    "b": np.zeros((3, 0), np.uint8),
    "c": np.array(7),
    "d": np.array([[True, False]]),
}


@pytest.fixture
def path(tmp_path):
    checkpoint_files.save(Part(tmp_path / "deep" / "file", "a run"), ARRAYS)
    return tmp_path / "deep" / "file"


def load(path):
    return checkpoint_files.load(Part(path, "a run"))


def test_what_is_saved_comes_back(path):
    loaded = load(path)
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


def test_a_thousand_flipped_bits_and_torn_ends_are_found(path):
    whole, chance = path.read_bytes(), random.Random(0)
    for turn in range(1000):
        content = bytearray(whole)
        if turn % 2:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:
            del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged"):
            load(path)


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoint_files.save(Part(path, "a run"), {"a": np.zeros(9)})
    monkeypatch.undo()
    assert np.array_equal(load(path)["a"], ARRAYS["a"])
    assert [file.name for file in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("numbers", [[], [0], [1, 2**3000, 255, 256]])
def test_numbers_of_any_size_come_back(numbers):
    assert array_to_numbers(numbers_to_array(numbers)) == numbers
