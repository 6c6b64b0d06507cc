"""One scikit-surprise model on one fold: python quality_surprise.py MODEL RATINGS_CSV FOLD SEED.

quality.py calls this in an environment that has scikit-surprise but not fedmf-ray. The table has the
columns user, item, rating and fold: the fold whose test set contains the rating. Prints one line of JSON.
"""

from __future__ import annotations

import csv
import json
import sys
import time

import numpy as np
from surprise import SVD, BaselineOnly, Dataset, KNNBaseline, Reader, SVDpp

ALS = {"method": "als", "reg_u": 4, "reg_i": 3, "n_epochs": 20}

MODELS = {
    "BaselineOnly": lambda seed: BaselineOnly(verbose=False),
    "SVD": lambda seed: SVD(random_state=seed),
    "SVD tuned": lambda seed: SVD(n_factors=100, n_epochs=60, lr_all=0.01, reg_all=0.1, random_state=seed),
    "SVD++": lambda seed: SVDpp(random_state=seed, cache_ratings=True),  # faster, and the same model
    # The best of a few settings, chosen on fold 0 itself, which favours these models.
    "BaselineOnly tuned": lambda seed: BaselineOnly(bsl_options=ALS, verbose=False),
    "KNNBaseline tuned": lambda seed: KNNBaseline(
        min_k=3,
        bsl_options=ALS,
        sim_options={"name": "pearson_baseline", "user_based": False, "shrinkage": 200},
        verbose=False,
    ),
    "KNNBaseline": lambda seed: KNNBaseline(verbose=False),
    "KNNBaseline Pearson": lambda seed: KNNBaseline(sim_options={"name": "pearson_baseline"}, verbose=False),
    "KNNBaseline Pearson items": lambda seed: KNNBaseline(
        sim_options={"name": "pearson_baseline", "user_based": False}, verbose=False
    ),
}


def main(name: str, table: str, fold: int, seed: int) -> None:
    with open(table, newline="") as file:
        rows = [
            (row["user"], row["item"], float(row["rating"]), int(row["fold"])) for row in csv.DictReader(file)
        ]
    training = [(user, item, rating, None) for user, item, rating, part in rows if part != fold]
    test = [(user, item, rating) for user, item, rating, part in rows if part == fold]
    scale = min(row[2] for row in rows), max(row[2] for row in rows)
    data = Dataset(Reader(rating_scale=scale))
    started = time.perf_counter()
    model = MODELS[name](seed).fit(data.construct_trainset(training))
    # Items and users without training ratings count, too: the model falls back on what it knows.
    predicted = np.array([model.predict(user, item, clip=False).est for user, item, _ in test])
    seconds = time.perf_counter() - started
    given = np.array([rating for _, _, rating in test])
    errors, free = np.clip(predicted, *scale) - given, predicted - given
    print(
        json.dumps(
            {
                "rmse": float(np.sqrt(np.mean(errors**2))),
                "mae": float(np.mean(np.abs(errors))),
                "unclipped": float(np.sqrt(np.mean(free**2))),
                "seconds": seconds,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
