"""Mean reciprocal rank: one over the place of the first relevant item in a list, 0 if there is none."""

import numpy as np


def reciprocal_rank(listed):
    places = np.flatnonzero(listed.found)
    return 1.0 / (places[0] + 1) if len(places) else 0.0
