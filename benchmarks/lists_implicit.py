"""Lists of one model of `implicit`: python lists_implicit.py MODEL SETTINGS RATINGS_CSV HELD_OUT LOW HIGH
SEED.

lists.py calls this in an environment that has implicit but not fedmf-ray. The table has the columns user,
item, rating and fold. HELD_OUT: folds that are not trained on, separated by commas. SETTINGS: a JSON list of
keyword arguments, a model each. Likings are clip((r - LOW) / (HIGH - LOW), 0, 1). Prints a line of JSON for
each: the ten best items of each user that it did not train on, and seconds."""

from __future__ import annotations

import csv
import json
import sys
import time

import numpy as np
import scipy.sparse
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

MODELS = {
    "ALS": lambda settings, seed: AlternatingLeastSquares(random_state=seed, num_threads=1, **settings),
    "BPR": lambda settings, seed: BayesianPersonalizedRanking(random_state=seed, num_threads=1, **settings),
    "cosine kNN": lambda settings, seed: CosineRecommender(num_threads=1, **settings),
    "TF-IDF kNN": lambda settings, seed: TFIDFRecommender(num_threads=1, **settings),
    "BM25 kNN": lambda settings, seed: BM25Recommender(num_threads=1, **settings),
}
LENGTH = 10


def main(name: str, settings: str, table: str, held_out: str, low: float, high: float, seed: int) -> None:
    with open(table, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] not in held_out.split(",")]
    users, by_user = np.unique([int(row["user"]) for row in rows], return_inverse=True)
    items, by_item = np.unique([int(row["item"]) for row in rows], return_inverse=True)
    values = np.array([float(row["rating"]) for row in rows])
    likings = np.clip((values - low) / (high - low), 0, 1)
    shape = len(users), len(items)
    liked = scipy.sparse.csr_matrix((likings, (by_user, by_item)), shape, dtype=np.float32)
    liked.eliminate_zeros()
    rated = scipy.sparse.csr_matrix((np.ones(len(values)), (by_user, by_item)), shape)
    for chosen in json.loads(settings):
        started = time.perf_counter()
        model = MODELS[name](chosen, seed)
        model.fit(liked, show_progress=False)
        lists = {}
        for user, number in enumerate(users.tolist()):
            known = rated[user].indices
            best, _ = model.recommend(
                user, liked[user], N=LENGTH + len(known), filter_already_liked_items=False
            )
            best = best[(best >= 0) & ~np.isin(best, known)][:LENGTH]
            lists[number] = items[best].tolist()
        print(json.dumps({"lists": lists, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:5], float(sys.argv[5]), float(sys.argv[6]), int(sys.argv[7]))
