"""What every file of a run and of a study holds: each column and key with its meaning, in one place.

Long because it is one table.

The reference page of the documentation is made from this table, and a test compares it with what runs write.
A name in capitals stands for many: ``KEY`` for the dotted keys that a study sweeps, ``MEASURE`` for the names
of ``metrics.measures``; ``factor_N`` is one of many.
"""

from __future__ import annotations

from dataclasses import dataclass

Meanings = dict[str, str]


@dataclass(frozen=True)
class File:
    """name: of the file. what: it is, in a sentence or two. holds: column, or key of JSON (dotted), to
    meaning."""

    name: str
    what: str
    holds: Meanings


_LOSSES: Meanings = {
    "train_mse": "Mean squared error on the training ratings.",
    "test_rmse": "Root mean squared error on the held-out ratings; empty if there are none.",
    "test_mae": "Mean absolute error on the held-out ratings; empty if there are none.",
}

_COSTS: Meanings = {
    "basis": "Where the CPU seconds of this row come from: measured, charged (a calibrated run) or "
    "estimated.",
    "protocol_s": "What the round would take with one device per user: the slowest user, then the server. "
    "The sum "
    "of the five `slowest_*_s`, `server_cpu_s`, `open_s` and `seal_s`. Derived.",
    "slowest_download_s": "Of the slowest user: receiving the item matrix. Derived.",
    "slowest_decrypt_s": "Of the slowest user: reading the item matrix, on its own device. Derived.",
    "slowest_update_s": "Of the slowest user: computing its steps, on its own device. Derived.",
    "slowest_encrypt_s": "Of the slowest user: protecting its steps, on its own device. Derived.",
    "slowest_upload_s": "Of the slowest user: sending them. Derived.",
    "server_cpu_s": "CPU seconds of the server: checking and adding all uploads, publishing the matrix. "
    "See `basis`.",
    "open_s": "Of the user who opens the sums of the round, where the scheme has that: receiving them, "
    "opening them on its own device, sending what opens them. 0 elsewhere. Derived.",
    "open_cpu_s": "CPU seconds that it spent on that. See `basis`.",
    "open_bytes": "Bytes that it received and sent for that. Counted.",
    "seal_s": "Of the users who check and seal the item matrix for all (`protocol.reading: rated`): the "
    "slowest of each step, on its own device and link. 0 elsewhere. Derived.",
    "seal_cpu_s": "CPU seconds that all of them spent on that. See `basis`.",
    "seal_bytes": "Bytes that all of them received and sent for that. Counted.",
    "user_cpu_s_max": "The most CPU seconds that one user spent, on this machine. See `basis`.",
    "user_decrypt_cpu_s_mean": "CPU seconds that a user spent on reading the matrix, mean over users. See "
    "`basis`.",
    "user_update_cpu_s_mean": "CPU seconds that a user spent on its steps, mean over users. See `basis`.",
    "user_encrypt_cpu_s_mean": "CPU seconds that a user spent on protecting them, mean over users. See "
    "`basis`.",
    "network_s_max": "The longest that one user's download and upload took together: counted bytes over the "
    "bandwidth of the scenario, plus latency. Derived.",
    "upload_bytes_total": "Bytes that all users sent. Counted.",
    "download_bytes_total": "Bytes that all users received. Counted.",
    "users": "How many users were asked in this round.",
}

ROUNDS = File(
    "rounds.csv",
    "A row per round, written when the round ends.",
    {
        "round": "Its number, from 0.",
        **_LOSSES,
        **_COSTS,
        "uploads": "How many uploads are in the new matrix.",
        "refused": "How many uploads the server refused; `events.jsonl` has the reasons.",
        "user_actors": "Processes that hosted users.",
        "MEASURE": "With `metrics.every`: each measure of lists, as in `ranking` of `summary.json`; empty "
        "after other rounds.",
        "cpu_s": "Central baselines alone: CPU seconds of the round. Measured.",
        "wall_s": "What this simulation took for the round, by the clock. Measured; in no other column.",
    },
)

USERS = File(
    "users.csv.gz",
    "A row per user and round. Central baselines have none; nor has a run of more than 100,000 users, or one "
    "with `results.users: sums`. With `results.users: parquet` the same columns are in `users/`, a file per "
    "round.",
    {
        "round": "As in `rounds.csv`.",
        "basis": "As in `rounds.csv`.",
        "user_id": "The user's number in this run. It is the id of the data if all ids are whole numbers, "
        "and "
        "counts from 1 by first appearance otherwise.",
        "decrypt_cpu_s": "CPU seconds for reading the item matrix. See `basis`.",
        "update_cpu_s": "CPU seconds for computing steps. See `basis`.",
        "encrypt_cpu_s": "CPU seconds for protecting them. See `basis`.",
        "download_bytes": "Bytes that the user received. Counted.",
        "upload_bytes": "Bytes that the user sent. Counted.",
        "upload_rows": "Item rows in its upload: rated ones and decoys.",
        "upload_blocks": "Blocks that these rows lie in: what the server sees.",
        "slowdown": "How many times slower than this machine the user's device is (`devices`).",
        "network_s": "Seconds of its download and upload. Derived.",
        "device_s": "Seconds of its whole round on its own device, network included. Derived.",
    },
)

SUMMARY = File(
    "summary.json",
    "How a run ended.",
    {
        "status": "complete, converged (`stop.tolerance`), stopped_early (`stop.patience`), "
        "diverged, failed or interrupted.",
        "reason": "Why, if it diverged or failed.",
        "early_stopping.best_round": "Where `stop.patience` ended the run: its best round, from 0. Users "
        "keep the model of the last.",
        "early_stopping.best_rmse": "The validation error of that round.",
        "rounds": "How many rounds were written.",
        "last_round": "The last row of `rounds.csv`.",
        "setup.keys_cpu_s": "CPU seconds for making the keys. Measured.",
        "setup.wall_s": "Seconds by the clock before round 0.",
        "setup.initial_train_mse": "The training error before round 0.",
        "ranking.k": "Length of the lists (`metrics.top_k`).",
        "ranking.users": "Users who have a held-out rating from `metrics.relevant_from` on; means are over "
        "these.",
        "ranking.hit_rate": "Share of lists with at least one relevant item.",
        "ranking.precision": "Share of list entries that are relevant.",
        "ranking.recall": "Share of a user's relevant items that are in its list.",
        "ranking.ndcg": "Normalised discounted cumulative gain: relevant items count more at the top.",
        "ranking.map": "Mean average precision: precision at the place of each relevant item, averaged.",
        "ranking.popularity": "Popularity bias, where raters are counted: mean raters of what is in a list, "
        "relative to those of the most-rated items; 1 for a list of bestsellers.",
        "ranking.coverage": "Share of all items that are in at least one list.",
        "lists.basis": "As in `rounds.csv`. The next two are what a list takes a user beside rounds. Where "
        "users read what they rated and lists are asked for: the rest of the item matrix. Where a rule makes "
        "lists alone: the last tables, whole.",
        "lists.download_bytes_mean": "Bytes of these that it downloads, mean over users. Counted.",
        "lists.decrypt_cpu_s_mean": "CPU seconds of checking and opening them, mean over users.",
        "ranking.MEASURE": "A measure of an installed plug-in (`metrics.measures`).",
        "checkpoints.written": "How many checkpoints were written.",
        "checkpoints.wall_s": "Seconds that they took.",
        "between_nodes.total_bytes": "On a cluster of several nodes: bytes of values that moved from one to "
        "another, each value of 100 kB or more once per node. Counted.",
        "between_nodes.small_bytes": "Of these, of smaller values, which travel with each call. Counted.",
        "between_nodes.CALL_bytes": "By the call that needed them: `open_round` and `read_share` the item "
        "matrix, and parts of it that users have read; `merge` and `receive` uploads. Counted.",
        "wall_s": "Seconds of all rounds by the clock.",
    },
)

ENVIRONMENT = File(
    "environment.json",
    "Where and how a run took place.",
    {
        "git_revision": "Of the checkout that the program ran from; null if there was none.",
        "python": "Version of Python.",
        "platform": "Operating system.",
        "cpu": "Model of the processor.",
        "cores": "CPUs of the machine that started the run.",
        "versions": "Versions of this package and of the libraries that results depend on.",
        "kernel": "Which arithmetic the encryption used, and why.",
        "backend": "ray or serial.",
        "cluster_cpus": "CPUs that the run could use.",
        "users": "Users in the run.",
        "items": "Items in the run.",
        "user_actors": "Processes that hosted users.",
        "users_per_actor": "The most users that one of them hosted.",
        "server_shards": "Server processes.",
        "layout": "How item rows lie in ciphertexts, in words.",
        "update_cpu_s": "How `update_cpu_s` was found: per user, per block of users, or charged.",
        "uploads_combined": "Whether user actors added up the uploads of their users before a server did.",
        "unit_costs": "Of a calibrated run: CPU seconds per piece of work (`each`) and per call (`fixed`).",
        "checkpoints": "The name of the folder with the checkpoints, on the users' side.",
        "algorithm": "Of a central baseline: which.",
        "earlier": "If the run was resumed: the environments before.",
    },
)

EVENTS = File(
    "events.jsonl",
    "A line per failure that was handled, and per resumption; missing if there were none.",
    {
        "time": "UTC, ISO 8601.",
        "event": "resumed, refused, user_actor_died, server_died, actor_silent, node_refused, went_back, "
        "restore_failed, set_up_failed, ranking_failed, checkpoint_failed, checkpoint_unreadable or "
        "checkpoints_gone.",
        "round": "In which round.",
        "reason": "Why.",
        "reasons": "Of `refused`: reason to number of uploads.",
        "action": "What was done about it.",
        "actor": "Number of the process.",
        "role": "users or server.",
        "server": "Number of the server.",
        "users": "How many users the process hosted.",
    },
)

STUDY = File(
    "study.csv",
    "A row per cell and round of a study: the swept keys, then the columns of `rounds.csv`.",
    {
        "cell": "Number of the cell, from 0.",
        "KEY": "Each swept key, dotted, with its value in this cell.",
        "MEASURE": "Measures of lists, in the row of the last round.",
    },
)

CELLS = File(
    "cells.csv",
    "A row per cell of a study.",
    {
        "cell": "Number of the cell, from 0.",
        "KEY": "Each swept key, dotted, with its value in this cell.",
        "status": "complete, converged, diverged, failed or missing.",
        "reason": "Why, if it is not complete.",
    },
)

AUDIT = File(
    "audit.json",
    "A list of findings: what one attack made of one recorded view.",
    {
        "keys": "Of a study: the swept keys of the cell.",
        "adversary": "Who attacks: the server, a user, or a server that colludes with one.",
        "attack": "The name of the attack.",
        "round": "The first round that it read.",
        "rounds": "How many rounds it needs.",
        "ratings": "How many training ratings there are.",
        "recovered": "The share of them that the attack named exactly, from 0 to 1; null if no attack is "
        "known.",
        "users": "How many users lost at least one rating.",
        "rated_precision": "Of the (user, item) pairs that it took for rated: the share that is.",
        "rated_recall": "Of the pairs that were rated: the share that it found.",
        "cpu_s": "CPU seconds of the attack, for all users together.",
        "readable": "Whether the scheme lets the adversary read every upload anyway.",
    },
)

VIEW_AGREED = File(
    "view/agreed.json",
    "What everybody in the protocol knows. In a recorded view (`observe`), for its owner alone.",
    {
        "scheme": "Name of the scheme.",
        "server_reads": "What the scheme lets a server read: nothing, rows, sums or everything.",
        "rule": "Name of the update rule.",
        "rule_settings": "Its own settings.",
        "setting": "What shapes the numbers: items, factors, biases, steps, bounds and grid.",
        "least_rows": "How many rows each user uploads at least, decoys included.",
        "helpers": "Ids of the users who help the adversary.",
        "members": "How many members of a committee help it.",
        "rows_per_block": "How many rows share ciphertexts.",
    },
)

VIEW_ROUND = File(
    "view/round-NNNN.npz",
    "What the adversary saw of one round, as NumPy arrays. A user sees `round` and `items` alone.",
    {
        "round": "Number of the round.",
        "items": "The item matrix in the clear, where this adversary can read it.",
        "user_ids": "Who uploaded, in order of arrival.",
        "starts": "Where each user's rows begin in `rows`, and where the last ends.",
        "rows": "The numbers of the rows or blocks that were uploaded.",
        "values": "What was uploaded for each row, where the adversary can read it.",
        "ciphertexts": "What was uploaded for each block, where it cannot.",
    },
)

ESTIMATE = File(
    "The CSV of fedmf-ray estimate -o",
    "A row per cell, like `study.csv`: swept keys, then the costs of one round. `basis` is estimated.",
    {
        "cell": "Number of the cell, from 0.",
        "KEY": "Each swept key, dotted, with its value in this cell.",
        "round": "Always 0.",
        **_COSTS,
        "uploads": "How many users are in time.",
        "refused": "How many are late.",
        "user_actors": "Processes that would host users.",
        "wall_s": "What the simulation of a round would take on this machine. Estimated.",
    },
)

EXPORTED_ITEMS = File(
    "items.csv (export)",
    "`fedmf-ray export`: the item matrix as users see it. Known to every user and to no server.",
    {
        "item": "Its own id.",
        "title": "What it is called, if titles are known.",
        "bias": "Its bias, if the model has biases.",
        "raters": "How many rated it, if users count them.",
        "factor_N": "Its vector, a column per factor, from 0.",
    },
)

EXPORTED_USERS = File(
    "users.csv (export)",
    "`fedmf-ray export`: a row per user. Private: a vector tells what a user likes.",
    {
        "user": "Its own id.",
        "bias": "Its bias, if the model has biases.",
        "factor_N": "Its vector, a column per factor, from 0.",
    },
)

EXPORTED_PREDICTIONS = File(
    "predictions.csv (export)",
    "`fedmf-ray export`: a row per held-out rating. Private: it names what a user rated.",
    {
        "user": "Its own id.",
        "item": "Its own id.",
        "title": "What it is called, if titles are known.",
        "rating": "What the user gave it.",
        "expected": "What the model expects, not cut to the scale.",
    },
)

FILES = (
    *(ROUNDS, USERS, SUMMARY, ENVIRONMENT, EVENTS),
    *(STUDY, CELLS, AUDIT, VIEW_AGREED, VIEW_ROUND, ESTIMATE),
    *(EXPORTED_ITEMS, EXPORTED_USERS, EXPORTED_PREDICTIONS),
)
"""In the order in which a reader meets them."""
