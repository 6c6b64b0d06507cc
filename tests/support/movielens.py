"""Tiny copies of MovieLens data sets: a loader would say that they were cut off, unless it expects them."""

import dataclasses

from fedmf_ray.ratings.movielens import DATA_SETS


def expect(monkeypatch, name, ratings):
    """For one test, the data set of this name has so many ratings."""
    monkeypatch.setitem(DATA_SETS, name, dataclasses.replace(DATA_SETS[name], ratings=ratings))
