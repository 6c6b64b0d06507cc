"""Which kernel does the arithmetic, and that it does not matter for the result."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.cli import doctor
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.schemes import Packed, Shape
from fedmf_ray.schemes.paillier import gmpy2_kernel, kernels, native_kernel
from tests.support.native_moduli import needs_native
from tests.support.small_runs import small


@pytest.fixture(autouse=True)
def no_kernel_is_forced(monkeypatch):
    monkeypatch.delenv(kernels.VARIABLE, raising=False)


def kernel_check():
    return next(check for check in doctor.examine() if check.subject == "kernel")


class TestChoice:
    @pytest.mark.parametrize("obstacle", ["this CPU has no AVX-512 IFMA", "the extension was not built"])
    def test_gmpy2_is_used_where_native_is_impossible_and_says_why(self, monkeypatch, obstacle):
        monkeypatch.setattr(native_kernel, "obstacle", lambda: obstacle)
        assert kernels.choose(2048) is gmpy2_kernel
        assert kernels.description().startswith("gmpy2 2.")
        assert kernels.description().endswith(f": {obstacle}")
        assert kernel_check().finding == kernels.description()

    def test_a_module_that_is_not_there_is_an_obstacle(self, monkeypatch):
        monkeypatch.setattr(native_kernel, "ifma", None)
        assert native_kernel.obstacle() == "the extension was not built"

    def test_native_is_used_where_it_is_possible(self, monkeypatch):
        monkeypatch.setattr(native_kernel, "obstacle", lambda: None)
        assert kernels.choose(2048) is native_kernel
        assert kernels.description() == "native: AVX-512 IFMA"
        assert kernels.choose(4096 + 64) is gmpy2_kernel

    def test_a_kernel_can_be_forced(self, monkeypatch):
        monkeypatch.setattr(native_kernel, "obstacle", lambda: None)
        monkeypatch.setenv(kernels.VARIABLE, "gmpy2")
        assert kernels.choose(2048) is gmpy2_kernel
        assert "FEDMF_KERNEL says so" in kernels.description()
        monkeypatch.setenv(kernels.VARIABLE, "native")
        assert kernels.choose(2048) is native_kernel
        with pytest.raises(FedMFError, match="4160 bits"):
            kernels.choose(4160)

    def test_an_impossible_or_unknown_kernel_is_an_error_with_the_reason(self, monkeypatch):
        monkeypatch.setattr(native_kernel, "obstacle", lambda: "this CPU has no AVX-512")
        monkeypatch.setenv(kernels.VARIABLE, "native")
        with pytest.raises(FedMFError, match="this CPU has no AVX-512"):
            kernels.choose(2048)
        assert not kernel_check().ok
        monkeypatch.setenv(kernels.VARIABLE, "abacus")
        with pytest.raises(FedMFError, match="abacus.*gmpy2, native"):
            kernels.choose(2048)


@needs_native
class TestBothKernels:
    @pytest.mark.parametrize("sparsity", [0.0, 1.0])
    def test_whole_runs_give_the_same_numbers(self, tmp_path, monkeypatch, sparsity):
        rounds, seen = [], []
        for name in kernels.KERNELS:
            monkeypatch.setenv(kernels.VARIABLE, name)
            folder = run(small(protocol__part_text_sparsity=sparsity), tmp_path, Silent())
            rounds.append(pd.read_csv(folder / "rounds.csv"))
            seen.append(json.loads((folder / "environment.json").read_text())["kernel"])
        for column in ("train_mse", "test_rmse", "test_mae", "upload_bytes_total"):
            assert rounds[0][column].equals(rounds[1][column])
        assert seen[0].startswith("gmpy2 ")
        assert seen[1] == "native: AVX-512 IFMA"

    def test_they_work_together_in_one_run(self, monkeypatch):
        """Users on machines with the instructions, a server without, and the other way round."""
        integers = np.arange(-100, 100).reshape(4, 50) << 14
        published = []
        for user, server in (("native", "gmpy2"), ("gmpy2", "native")):
            monkeypatch.setenv(kernels.VARIABLE, user)
            evaluator, key = Packed(1024).sides(Shape(50, 26))
            wire = key.encrypt(integers)
            monkeypatch.setenv(kernels.VARIABLE, server)
            total = evaluator.aggregate(wire)
            for _ in range(3):
                total.add(np.arange(4), wire)
            published.append(key.decrypt(total.wire()))
        assert np.array_equal(published[0], 4 * integers)
        assert np.array_equal(published[1], 4 * integers)

    def test_a_key_changes_kernel_when_it_travels(self, monkeypatch):
        _, key = Packed(1024).sides(Shape(5, 26))
        monkeypatch.setenv(kernels.VARIABLE, "gmpy2")
        other = pickle.loads(pickle.dumps(key))
        assert isinstance(other._key, gmpy2_kernel.PrivateKey)
        integers = np.eye(5, dtype=np.int64)
        assert np.array_equal(other.decrypt(key.encrypt(integers)), integers)
        assert np.array_equal(key.decrypt(other.encrypt(integers)), integers)
