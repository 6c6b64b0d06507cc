"""The users' key pair: made once a run, kept on the users' side, and read again by whoever takes over."""

from __future__ import annotations

from pathlib import Path

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.schemes import registry as schemes
from fedmf_ray.storage import checkpoint_files


def create_keys(
    scheme: str, matrices: schemes.Matrices, path: Path | None = None
) -> tuple[schemes.Evaluator, schemes.KeyHolder, float]:
    """The users' key ceremony: the server's side, the users' side, and its CPU seconds.

    path: a file for the key pair, on the users' side.
    """
    started = cpu_clock()
    evaluator, key = schemes.create(scheme, matrices)
    if path is not None and key.primes is not None:
        checkpoint_files.save(path, {"primes": checkpoint_files.numbers_to_array(list(key.primes))})
    return evaluator, key, cpu_clock() - started


def load_keys(
    scheme: str, matrices: schemes.Matrices, path: Path
) -> tuple[schemes.Evaluator, schemes.KeyHolder, float]:
    """:func:`create_keys`, with the pair that it wrote. Raises
    :class:`~.checkpoint_files.CheckpointError` without it: no other pair opens what this one has locked."""
    started = cpu_clock()
    primes = None
    if scheme != "plain":
        p, q = checkpoint_files.array_to_numbers(checkpoint_files.load(path)["primes"])
        primes = p, q
    return *schemes.create(scheme, matrices, primes), cpu_clock() - started
