"""Files of a checkpoint: written completely or not at all, with a checksum; they say whose they are.

    magic line, SHA-256 of the rest, a line that says what it is, its content

The content of most is an .npz archive without pickles. Mode 0600, in folders of mode 0700: some of them
hold private keys and user vectors.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError
from fedmf_ray.files import replacing

_MAGIC = b"fedmf-ray checkpoint 3\n"
_EARLIER = (b"fedmf-ray checkpoint 1\n", b"fedmf-ray checkpoint 2\n", b'{"round"')
_DIGEST = hashlib.sha256().digest_size


class CheckpointError(FedMFError):
    """A file of a checkpoint is missing, damaged, or cannot be written."""


def unwritable(path: Path, error: OSError) -> CheckpointError:
    """What there is to say when a file or folder cannot be written."""
    return CheckpointError(
        f"{path}: cannot be written: {error.strerror}: set cluster.checkpoint_folder, or FEDMF_STATE, to a "
        "folder that can, or cluster.checkpoint_every to never"
    )


@dataclass(frozen=True)
class Part:
    """A file of a checkpoint.

    label: what it is: of which run, whose, of which round. digest: what :func:`save` returned for it, if
    that is known; no other content is read then.
    """

    path: Path
    label: str
    digest: str = ""


def save(part: Part, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write arrays to a file that appears under its name only when it is complete and on disk.

    Returns its digest. Raises :class:`CheckpointError`, for instance when the disk is full; an earlier file
    of that name stays.
    """
    body = io.BytesIO()
    np.savez(body, **arrays)  # type: ignore[arg-type]
    return write(part, body.getvalue())


def load(part: Part) -> dict[str, NDArray[Any]]:
    """Read what :func:`save` wrote; raises :class:`CheckpointError` if a single bit of it has changed, and
    for a file of another run, round or user."""
    content = read(part)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{part.path}: is no archive: {error}") from error


def write(part: Part, content: bytes) -> str:
    """:func:`save`, of any content."""
    payload = part.label.encode() + b"\n" + content
    digest = hashlib.sha256(payload)
    try:
        part.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(part.path, 0o600, sync=True) as file:
            file.write(_MAGIC + digest.digest() + payload)
    except OSError as error:
        raise unwritable(part.path, error) from error
    return digest.hexdigest()


def read(part: Part) -> bytes:
    """:func:`load`, of what :func:`write` wrote."""
    path = part.path
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
    label, _, content = payload.partition(b"\n")
    if label != part.label.encode():
        shown = label.decode(errors="replace")[:200]
        raise CheckpointError(f"{path}: is not {part.label!r}, which belongs here, but {shown!r}")
    if part.digest not in ("", digest.hex()):
        raise CheckpointError(f"{path}: is not the file that its checkpoint lists")
    return content
