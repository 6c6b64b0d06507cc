"""Files of a checkpoint: arrays that are written completely or not at all, with a checksum.

    magic line, SHA-256 of the rest, an .npz archive without pickles

Mode 0600, in folders of mode 0700: some of them hold private keys and user vectors.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError

_MAGIC = b"fedmf-ray checkpoint 2\n"
_EARLIER = b"fedmf-ray checkpoint 1\n"
_DIGEST = hashlib.sha256().digest_size


class CheckpointError(FedMFError):
    """A file of a checkpoint is missing, damaged, or cannot be written."""


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a file that appears under its name only when it is complete and on disk.

    Raises :class:`CheckpointError`, for instance when the disk is full; an earlier file of that name stays.
    """
    body = io.BytesIO()
    np.savez(body, **arrays)  # type: ignore[arg-type]
    payload = body.getvalue()
    write_atomically(path, _MAGIC + hashlib.sha256(payload).digest() + payload)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Read what :func:`save` wrote; raises :class:`CheckpointError` if a single bit of it has changed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error.strerror}; all machines of a cluster must see "
            "cluster.checkpoint_folder, or FEDMF_STATE, under the same path"
        ) from error
    head = len(_MAGIC) + _DIGEST
    digest, payload = content[len(_MAGIC) : head], content[head:]
    if content.startswith(_EARLIER):
        raise CheckpointError(
            f"{path}: was written by an earlier version of fedmf-ray, from which this one cannot go on: "
            "run the scenario again, or finish it with that version"
        )
    if not content.startswith(_MAGIC) or hashlib.sha256(payload).digest() != digest:
        raise CheckpointError(f"{path}: is damaged: its checksum is wrong")
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that at any moment it is either the old one or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)  # the new name itself must be on disk, too
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):  # there may be no such folder
            beside.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path}: cannot be written: {error.strerror}: set cluster.checkpoint_folder, or FEDMF_STATE, "
            "to a folder that can, or cluster.checkpoint_every to never"
        ) from error
