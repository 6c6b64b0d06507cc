"""Sweeps of alternating least squares of `implicit`: python als_sweeps.py RATINGS_NPZ FACTORS THREADS SWEEPS.

scaling.py calls this in an environment that has implicit but not fedmf-ray. RATINGS_NPZ has starts (users +
1,), items and ratings, user after user. Prints a line of JSON for each way of solving: seconds of each sweep,
over users and then over items.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import scipy.sparse
from implicit.als import AlternatingLeastSquares

WAYS = {"conjugate gradients": True, "Cholesky": False}


def main(path: str, factors: int, threads: int, sweeps: int) -> None:
    kept = np.load(path)
    shape = len(kept["starts"]) - 1, int(kept["items"].max()) + 1
    ratings = scipy.sparse.csr_matrix((kept["ratings"], kept["items"], kept["starts"]), shape)
    for name, use_cg in WAYS.items():
        model = AlternatingLeastSquares(
            factors=factors, iterations=sweeps, use_cg=use_cg, num_threads=threads, random_state=1
        )
        print(json.dumps({"way": name, "seconds": seconds_of(model, ratings)}), flush=True)


def seconds_of(model: AlternatingLeastSquares, ratings: scipy.sparse.csr_matrix) -> list[float]:
    seconds: list[float] = []
    model.fit(ratings, show_progress=False, callback=lambda _, took, *__: seconds.append(took))
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
