"""The command that checks that this machine can run simulations, and its checks."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from fedmf_ray.cli import console
from fedmf_ray.errors import FedMFError

_LIBRARIES = ("ray", "numpy", "phe", "gmpy2", "pandas", "matplotlib", "pydantic")
_SMALLEST_MEMORY_BYTES = 2 * 10**9


@dataclass(frozen=True)
class Check:
    """One line of the report; ``remedy`` is what to do if the check is not ``ok``, unless ``finding`` says
    it."""

    subject: str
    ok: bool
    finding: str
    remedy: str = ""


@click.command()
def doctor() -> None:
    """Check that this machine can run simulations.

    Prints a remedy for each check that fails.
    """
    ok = True
    for check in examine():
        ok &= check.ok
        mark = "[green]ok[/]  " if check.ok else "[red]FAIL[/]"
        remedy = "" if check.ok or not check.remedy else f" -> {check.remedy}"
        line = f"{check.subject:10} {check.finding}{remedy}"
        console.stderr.print(f"{mark} {console.escaped(line)}", soft_wrap=True)
    if not ok:
        sys.exit(1)


def examine() -> Iterator[Check]:
    """All checks, the fast ones first; the last two use keys and Ray (about ten seconds)."""
    yield _python()
    yield from (_library(name) for name in _LIBRARIES)
    yield Check("cores", True, str(os.cpu_count()))
    yield _memory()
    yield _kernel()
    yield _tried("keys", _try_keys, "reinstall phe and gmpy2")
    yield _tried("Ray", _try_ray, "reinstall ray, or run scenarios with cluster.backend=serial")


def _python() -> Check:
    return Check(
        "python", sys.version_info >= (3, 10), platform.python_version(), "install Python 3.10 or later"
    )


def _library(name: str) -> Check:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(name, False, "is not installed", f"pip install {name}")


def _memory() -> Check:
    free = _available_bytes()
    finding = f"{free / 1e9:.1f} GB available"
    return Check(
        "memory",
        free >= _SMALLEST_MEMORY_BYTES,
        finding,
        "close other programs, or use cluster.backend=serial",
    )


def _available_bytes() -> int:
    """Memory available to new processes; the machine's whole memory where there is no /proc (macOS)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _kernel() -> Check:
    from fedmf_ray.schemes.paillier import kernels

    try:
        return Check("kernel", True, kernels.description())
    except FedMFError as error:
        return Check("kernel", False, str(error))


def _tried(subject: str, attempt: Callable[[], str], remedy: str) -> Check:
    started = time.perf_counter()
    try:
        finding = attempt()
    except FedMFError as error:  # it says what to do
        return Check(subject, False, str(error))
    except Exception as error:  # any failure is a finding, not an error of this program
        return Check(subject, False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", remedy)
    return Check(subject, True, f"{finding} ({time.perf_counter() - started:.1f} s)")


def _try_keys() -> str:
    """Encrypt, add and decrypt a small matrix under a fresh 2048-bit key, exactly."""
    import numpy as np

    from fedmf_ray.schemes import Shape
    from fedmf_ray.schemes.paillier.scheme import Packed

    evaluator, key = Packed(2048).sides(Shape(columns=10, value_bits=30))
    values = np.arange(-(2**19), 2**19, 2**20 // 40)[:40].reshape(4, 10)
    total = evaluator.aggregate(key.encrypt(values))
    total.add(np.arange(4), key.encrypt(values))
    if not np.array_equal(key.decrypt(total.wire()), 2 * values):
        raise ArithmeticError("a sum of ciphertexts decrypts to the wrong values")
    return "2048-bit keys encrypt, add and decrypt exactly"


def _try_ray() -> str:
    """Start a local Ray, call an actor, stop Ray."""
    from fedmf_ray.engine.ray_backend import RayBackend
    from fedmf_ray.scenario.schema import Cluster

    backend = RayBackend(Cluster().address)
    try:
        actor = backend.start(_Echo)
        if backend.get(backend.call(actor, "echo", 7)) != 7:
            raise RuntimeError("an actor returned a wrong value")
        return f"actors run; {backend.cpus} CPUs, {(backend.memory_bytes or 0) / 1e9:.1f} GB for actors"
    finally:
        backend.close()


class _Echo:
    def echo(self, value: int) -> int:
        return value
