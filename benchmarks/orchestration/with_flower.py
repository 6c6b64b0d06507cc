"""Flower's simulation: a ClientApp that keeps its vector in Context.state, and a ServerApp that adds steps.

One worker process per CPU (``client_resources``). The server sends the item matrix to every client with
``send_and_receive``; a client replies with its rows and its steps for them.
"""

from __future__ import annotations

import logging
import os
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from client import Population, report, step
from flwr.app import ArrayRecord, Context, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from population import CPUS

FOLDER, ROUNDS = "ORCHESTRATION_FOLDER", "ORCHESTRATION_ROUNDS"
"""Environment variables, because worker processes inherit them and the apps cannot take our own arguments."""

client, server = ClientApp(), ServerApp()


@lru_cache(maxsize=1)
def population() -> Population:
    """Loaded once per process, as Flower's examples do with their data sets."""
    return Population.load(Path(os.environ[FOLDER]))


@client.train()
def train(message: Message, context: Context) -> Message:
    user = int(context.node_config["partition-id"])
    people = population()
    (item_matrix,) = message.content["items"].to_numpy_ndarrays()
    if "vector" in context.state:
        (vector,) = context.state["vector"].to_numpy_ndarrays()
    else:
        vector = people.user_vectors[user]
    items = people.items[user]
    moved, steps, error = step(vector, item_matrix, items, people.values[user])
    context.state["vector"] = ArrayRecord([moved])
    content = RecordDict({"steps": ArrayRecord([items, steps]), "errors": MetricRecord({"squared": error})})
    return Message(content, reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    item_matrix = population().item_matrix.copy()
    users = len(population().items)
    while len(nodes := list(grid.get_node_ids())) < users:
        time.sleep(0.1)
    for number in range(int(os.environ[ROUNDS])):
        started = time.perf_counter()
        content = RecordDict({"items": ArrayRecord([item_matrix])})
        messages = [Message(content, node, MessageType.TRAIN) for node in nodes]
        squared_error = 0.0
        answered = 0
        for reply in grid.send_and_receive(messages):
            if reply.has_error():
                raise RuntimeError(reply.error.reason)
            rows, steps = reply.content["steps"].to_numpy_ndarrays()
            item_matrix[rows] += steps
            squared_error += reply.content["errors"]["squared"]
            answered += 1
        if answered != users:
            raise RuntimeError(f"{answered} of {users} clients answered")
        report(number, time.perf_counter() - started, np.float64(squared_error))


def main(folder: Path, rounds: int) -> None:
    os.environ |= {FOLDER: str(folder), ROUNDS: str(rounds)}
    logging.getLogger("flwr").setLevel(logging.ERROR)
    run_simulation(
        server,
        client,
        num_supernodes=len(population().items),
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"address": "local", "num_cpus": CPUS, "include_dashboard": False},
        },
    )
