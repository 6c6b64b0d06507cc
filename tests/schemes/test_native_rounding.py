"""Rounding of floating point belongs to a thread: kernels on doubles need their own, and give it back."""

import contextlib
import ctypes
import ctypes.util
import platform
import threading

import numpy as np
import pytest

from fedmf_ray.schemes.paillier import gmpy2_kernel
from tests.support.native_moduli import every_kernel, primes_of

MODES = {"x86_64": (0x000, 0x400, 0x800, 0xC00), "aarch64": (0 << 22, 2 << 22, 1 << 22, 3 << 22)}
"""FE_TONEAREST, FE_DOWNWARD, FE_UPWARD and FE_TOWARDZERO of <fenv.h>."""

mathematics = ctypes.CDLL(ctypes.util.find_library("m"))

pytestmark = pytest.mark.skipif(
    platform.machine() not in MODES, reason="its rounding modes are not known here"
)


@contextlib.contextmanager
def rounding(mode):
    before = mathematics.fegetround()
    assert mathematics.fesetround(mode) == 0
    try:
        yield
    finally:
        assert mathematics.fesetround(before) == 0


def seen_rounding():
    """How this thread rounds: ``fegetround`` of x86-64 asks another unit than the one of doubles."""
    one, less, more = (float(text) for text in ("1", "2e-17", "1.8e-16"))  # of half a unit in the last place
    return (one + less > one, -one - less < -one, one + more > one)


SEEN = [(False, False, True), (False, True, False), (True, False, True), (False, False, False)]
"""What ``seen_rounding`` is in the modes, in their order."""


def results(kernel):
    """Bytes of all that a kernel does, apart from random ones."""
    p, q = primes_of(1024)
    n = p * q
    table = gmpy2_kernel.build_table(p, q, 5)
    key = kernel.PrivateKey(p, q, table)
    plaintexts = np.random.default_rng(1).integers(0, 256, (9, 1, 128), dtype=np.uint8)
    plaintexts[..., -1] &= 0x3F
    wire = key.encrypt(plaintexts, [5])
    sums = kernel.Sums(n, wire[:, 0])
    sums.add(np.arange(9) % 4, wire[:, 0])
    again = gmpy2_kernel.Sums(n, wire[:, 0])
    again.add(np.arange(9) % 4, wire[:, 0])
    return np.array_equal(key.decrypt(wire, [5]), plaintexts) and np.array_equal(sums.wire(), again.wire())


@pytest.mark.parametrize("mode", range(4))
def test_sums_tell_the_modes_apart(mode):
    with rounding(MODES[platform.machine()][mode]):
        seen = seen_rounding()
    assert seen == SEEN[mode]
    assert seen_rounding() == SEEN[0]


@every_kernel
@pytest.mark.parametrize("mode", range(4))
def test_the_callers_rounding_does_no_harm_and_stays(kernel, mode):
    with rounding(MODES[platform.machine()][mode]):
        right, seen = results(kernel), seen_rounding()
    assert right
    assert seen == SEEN[mode]


@every_kernel
@pytest.mark.parametrize("mode", range(4))
def test_so_it_is_in_threads_whose_maker_rounds_otherwise(kernel, mode):
    seen = []

    def work():
        with rounding(MODES[platform.machine()][mode]):
            seen.append((results(kernel), seen_rounding()))

    with rounding(MODES[platform.machine()][2]):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        seen_here = (results(kernel), seen_rounding())
        for thread in threads:
            thread.join()
    assert seen == [(True, SEEN[mode])] * 3
    assert seen_here == (True, SEEN[2])
