"""The users' part of a checkpoint: their state when a round opens, for actors that take over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.protocol.items import Ledger
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import KeyHolder
from fedmf_ray.schemes.numbers import array_to_numbers, numbers_to_array
from fedmf_ray.storage import checkpoint_files
from fedmf_ray.storage.checkpoint_files import CheckpointError, Part


def save(part: Part, users: Users, ledger: Ledger, round_number: int) -> str:
    """Write the users as they were when the open round opened, and return the file's digest; raises
    :class:`CheckpointError`."""
    return checkpoint_files.save(
        part,
        {
            "user_ids": users.user_ids,
            "vectors": users.opened,
            "counted": users.counted,
            "parts": users.parts,
            "part_counts": users.rating_counts,
            "decoys": np.concatenate(users.upload_rows.decoys),
            "decoy_counts": np.array([len(rows) for rows in users.upload_rows.decoys]),
            "balance": numbers_to_array([int(n) for n in ledger.balance]),
            "tokens": np.array([list(token) for token in ledger.tokens.values()], np.uint8),
            "token_rounds": np.array(list(ledger.tokens)),
            "run": np.frombuffer(ledger.run, np.uint8),
            "ratings": users.digests(),
            "round": np.array(round_number),
        },
    )


def load(
    saved: Sequence[Part], members: Sequence[UserRatings], terms: Terms, key: KeyHolder
) -> tuple[Users, Ledger]:
    """Make users as they were when these files were written, which hold at least them.

    Raises :class:`CheckpointError` if a file is damaged, or about other users or ratings.
    """
    parts = [checkpoint_files.load(part) for part in saved]
    wanted = np.array([user.user_id for user in members], np.int64)
    user_ids = np.concatenate([part["user_ids"] for part in parts])
    order = np.argsort(user_ids, kind="stable")
    at = order[np.searchsorted(user_ids, wanted, sorter=order).clip(0, len(order) - 1)]
    if not np.array_equal(user_ids[at], wanted):
        raise CheckpointError(f"{saved[0].path}: holds other users than the scenario")

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([part[name] for part in parts])

    def pieces(name: str, counts: str) -> list[NDArray[Any]]:
        each = np.split(column(name), np.cumsum(column(counts))[:-1])
        return [each[k] for k in at]

    users = Users(members, terms, pieces("decoys", "decoy_counts"))
    if not np.array_equal(column("ratings")[at], users.digests()):
        raise CheckpointError(f"{saved[0].path}: the ratings have changed since it was written")
    users.opened[:] = column("vectors")[at]
    users.counted[:] = column("counted")[at]
    users.parts[:] = np.concatenate(pieces("parts", "part_counts"))
    users.restored()
    key.restored()
    if run := parts[0]["run"].tobytes():  # of schemes that bind it; others may be frozen
        key.run = run
    balance = array_to_numbers(parts[0]["balance"])
    rounds, tokens = parts[0]["token_rounds"].tolist(), map(bytes, parts[0]["tokens"])
    return users, Ledger(key, terms, balance, int(parts[0]["round"]), dict(zip(rounds, tokens, strict=True)))
