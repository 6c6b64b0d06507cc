"""Rounds as scalars of TensorBoard: pip install tensorboardX; python examples/track_tensorboard.py"""

from pathlib import Path

from tensorboardX import SummaryWriter

import fedmf_ray

with SummaryWriter("runs/fedmf") as writer:

    def log(row):
        for key, value in row.items():
            if isinstance(value, int | float) and value == value:
                writer.add_scalar(key, value, row["round"])

    fedmf_ray.run(Path(__file__).parent / "own_data.yaml", {"protocol.scheme": "plain"}, on_round=log)
