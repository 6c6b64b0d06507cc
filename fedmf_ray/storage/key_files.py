"""The users' secrets: made once per run, kept on the users' side, and read again after failures."""

from __future__ import annotations

from fedmf_ray.costs.seconds import cpu_clock
from fedmf_ray.schemes import Evaluator, KeyHolder, Scheme, Shape
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import Part


def create_keys(scheme: Scheme, shape: Shape, part: Part | None = None) -> tuple[Evaluator, KeyHolder, float]:
    """The users' key ceremony: the server's side, the users' side, and its CPU seconds.

    part: a file for the secrets, on the users' side.
    """
    started = cpu_clock()
    evaluator, key = scheme.sides(shape)
    if part is not None:
        checkpoint_files.save(part, key.secrets())
    return evaluator, key, cpu_clock() - started


def load_keys(scheme: Scheme, shape: Shape, part: Part) -> tuple[Evaluator, KeyHolder, float]:
    """:func:`create_keys`, with the secrets that it wrote. Raises
    :class:`~.checkpoint_files.CheckpointError` without them: no others open what these have locked."""
    started = cpu_clock()
    return *scheme.sides(shape, checkpoint_files.load(part)), cpu_clock() - started
