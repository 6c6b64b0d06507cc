"""Which kernel does the arithmetic, and that it does not matter for the result."""

import itertools
import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.cli import doctor
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import Packed, Shape
from fedmf_ray.schemes.paillier import extensions, gmpy2_kernel, kernels
from fedmf_ray.schemes.paillier.native_kernel import KERNELS
from tests.support.native_moduli import needs_native
from tests.support.small_runs import small


@pytest.fixture(autouse=True)
def no_kernel_is_forced(monkeypatch):
    monkeypatch.delenv(kernels.VARIABLE, raising=False)


def kernel_check():
    return next(check for check in doctor.examine() if check.subject == "kernel")


class Functions:
    """A module that can run, or cannot."""

    def __init__(self, obstacle=None):
        self.obstacle = lambda: obstacle


@pytest.fixture
def machine(monkeypatch):
    """Make this a machine on which extensions have these obstacles (None: it runs)."""

    def make(**obstacles):
        monkeypatch.setattr(
            extensions,
            "EXTENSIONS",
            tuple(
                replace(each, functions=Functions(obstacles.get(each.name))) for each in extensions.EXTENSIONS
            ),
        )

    return make


NO_IFMA = {"ifma": "this CPU has no AVX-512 IFMA"}
NO_AVX512 = {"ifma": "this CPU has no AVX-512", "fma8": "this CPU has no AVX-512"}
NOTHING = NO_AVX512 | dict.fromkeys(("fma4", "fma2"), "this CPU has no fused multiply-add")


class TestChoice:
    @pytest.mark.parametrize(
        ("obstacles", "name", "reason"),
        [
            ({}, "ifma", "AVX-512 IFMA"),
            (
                NO_IFMA,
                "fma8",
                "AVX-512 with fused multiply-adds of 8 doubles; this CPU has no AVX-512 IFMA",
            ),
            (NO_AVX512, "fma4", "AVX2 with fused multiply-adds of 4 doubles; this CPU has no AVX-512"),
            (
                NO_AVX512 | {"fma4": "this CPU has no AVX2"},
                "fma2",
                "fused multiply-adds of 2 doubles; this CPU has no AVX-512; this CPU has no AVX2",
            ),
        ],
    )
    @pytest.mark.parametrize("forced", [None, "native"])
    def test_the_fastest_that_runs_is_taken_and_says_why(
        self, machine, monkeypatch, obstacles, name, reason, forced
    ):
        if forced:
            monkeypatch.setenv(kernels.VARIABLE, forced)
        machine(**obstacles)
        assert kernels.choose(2048) is KERNELS[name]
        assert kernels.description() == f"{name}: {reason}"
        assert kernel_check().finding == kernels.description()

    def test_gmpy2_is_used_where_no_other_runs_and_says_why(self, machine):
        machine(**NOTHING)
        assert kernels.choose(2048) is gmpy2_kernel
        assert kernels.runnable() == ["gmpy2"]
        assert kernels.description().startswith("gmpy2 2.")
        assert kernels.description().endswith(": this CPU has no AVX-512; this CPU has no fused multiply-add")
        assert kernel_check().finding == kernels.description()

    def test_a_module_that_is_not_there_is_an_obstacle(self):
        assert replace(extensions.EXTENSIONS[0], functions=None).obstacle() == "the extension was not built"

    def test_keys_of_odd_sizes_are_for_gmpy2(self, machine):
        machine()
        assert kernels.choose(4096 + 64) is gmpy2_kernel

    def test_a_kernel_can_be_forced(self, machine, monkeypatch):
        machine()
        monkeypatch.setenv(kernels.VARIABLE, "gmpy2")
        assert kernels.choose(2048) is gmpy2_kernel
        assert "FEDMF_KERNEL says so" in kernels.description()
        for name, taken in {"fma": "fma8", "ifma": "ifma", "native": "ifma", "fma4": "fma4"}.items():
            monkeypatch.setenv(kernels.VARIABLE, name)
            assert kernels.choose(2048) is KERNELS[taken]
            with pytest.raises(FedMFError, match=f"{name}.*4160 bits"):
                kernels.choose(4160)

    def test_an_impossible_or_unknown_kernel_is_an_error_with_the_reason(self, machine, monkeypatch):
        machine(**NOTHING)
        monkeypatch.setenv(kernels.VARIABLE, "fma")
        with pytest.raises(FedMFError, match="FEDMF_KERNEL=fma: .*no fused multiply-add"):
            kernels.choose(2048)
        assert not kernel_check().ok
        monkeypatch.setenv(kernels.VARIABLE, "abacus")
        with pytest.raises(FedMFError, match="abacus.*ifma, fma, native, gmpy2"):
            kernels.choose(2048)


@needs_native
class TestSeveralKernels:
    @pytest.mark.parametrize("sparsity", [0.0, 1.0])
    def test_whole_runs_give_the_same_numbers(self, tmp_path, monkeypatch, sparsity):
        rounds, seen = [], []
        for name in kernels.runnable():
            monkeypatch.setenv(kernels.VARIABLE, name)
            folder = run(small(protocol__part_text_sparsity=sparsity), tmp_path, Silent())
            rounds.append(pd.read_csv(folder / "rounds.csv"))
            seen.append(json.loads((folder / "environment.json").read_text())["kernel"])
        for column in ("train_mse", "test_rmse", "test_mae", "upload_bytes_total"):
            assert all(each[column].equals(rounds[0][column]) for each in rounds)
        for name, description in zip(kernels.runnable(), seen, strict=True):
            assert description.startswith(name)

    def test_they_work_together_in_one_run(self, monkeypatch):
        """Users on machines with the instructions, a server without, and the other way round."""
        integers = np.arange(-100, 100).reshape(4, 50) << 14
        published = []
        for user, server in itertools.permutations(kernels.runnable(), 2):
            monkeypatch.setenv(kernels.VARIABLE, user)
            evaluator, key = Packed(1024).sides(Shape(50, 26))
            wire = key.encrypt(integers)
            monkeypatch.setenv(kernels.VARIABLE, server)
            total = evaluator.aggregate(wire)
            for _ in range(3):
                total.add(np.arange(4), wire)
            published.append(key.decrypt(total.wire()))
        assert len(published) >= 2
        assert all(np.array_equal(each, 4 * integers) for each in published)

    def test_a_key_changes_kernel_when_it_travels(self, monkeypatch):
        _, key = Packed(1024).sides(Shape(5, 26))
        monkeypatch.setenv(kernels.VARIABLE, "gmpy2")
        other = pickle.loads(pickle.dumps(key))
        assert isinstance(other._key, gmpy2_kernel.PrivateKey)
        integers = np.eye(5, dtype=np.int64)
        assert np.array_equal(other.decrypt(key.encrypt(integers)), integers)
        assert np.array_equal(key.decrypt(other.encrypt(integers)), integers)
