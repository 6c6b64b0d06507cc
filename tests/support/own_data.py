"""Ratings as a new user has them: text ids, a scale from 1 to 10, titles."""

import numpy as np
import pandas as pd

PLAIN = {
    "test": {"last": 4},
    "model": {
        "rule": "ridge", "factors": 3, "biases": True, "mean": 5.5, "init_scale": 0.1,
        "reg_user": 2.0, "reg_item": 2.0,
    },
    "protocol": {"scheme": "plain", "update_bound": 8.0},
    "stop": {"rounds": 4},
    "cluster": {"backend": "serial", "users_per_actor": 5},
}  # fmt: skip


def taste_frame(users=18, items=14, seed=3):
    """Odd users love odd items and dislike even ones, even users the other way round; in random order."""
    random = np.random.default_rng(seed)
    rows = [
        (
            f"user {user:02d}",
            f"item {item:02d}",
            int(random.integers(8, 11) if user % 2 == item % 2 else random.integers(1, 4)),
        )
        for user in range(users)
        for item in sorted(random.choice(items, 9, replace=False))
    ]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)
