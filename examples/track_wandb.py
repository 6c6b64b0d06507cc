"""Rounds in Weights & Biases: pip install wandb; wandb login; python examples/track_wandb.py"""

from pathlib import Path

import wandb

import fedmf_ray

with wandb.init(project="fedmf-ray") as tracked:
    fedmf_ray.run(
        Path(__file__).parent / "own_data.yaml",
        {"protocol.scheme": "plain"},
        on_round=lambda row: tracked.log(row, step=row["round"]),
    )
