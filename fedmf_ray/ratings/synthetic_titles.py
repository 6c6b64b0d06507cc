"""Made-up titles of synthetic items, so that people can see whose taste a list fits.

A synthetic rating is 3.5 + <taste of the user, vector of the item> + noise. The kind of an item (``mystery``)
is the coordinate in which its vector is largest, with its sign: of two opposite kinds, a user who likes the
one dislikes the other. Nothing else in a title means anything, and no rating depends on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

_KINDS = (
    ("space opera", "Orbit Comet Signal Station Nebula Horizon Beacon Voyage",
     "family drama", "House Garden Letter Winter Dinner Brother Kitchen Portrait"),
    ("comedy", "Wedding Holiday Parrot Neighbour Umbrella Bakery Landlord Bicycle",
     "thriller", "Witness Alibi Tunnel Ransom Verdict Courier Shadow Cipher"),
    ("western", "Canyon Saddle Ridge Sheriff Prairie Wagon Outlaw Mesa",
     "musical", "Waltz Encore Trumpet Ballad Chorus Serenade Stage Melody"),
    ("fantasy", "Dragon Tower Oath Crown Forest Wizard Lantern Kingdom",
     "documentary", "River Harvest Archive Glacier Market Factory Island Census"),
    ("romance", "Promise Orchard Postcard Station Summer Balcony Dance Reunion",
     "horror", "Cellar Mirror Whisper Asylum Fog Doll Crypt Hollow"),
    ("heist", "Vault Diamond Switch Casino Getaway Safe Crew Double",
     "sports film", "Final Coach Relay Champion Stadium Rookie Marathon Season"),
)  # fmt: skip
"""Opposite kinds for each coordinate, each with its nouns; coordinates beyond these name no kind."""

_WORDS = [
    "Red", "Quiet", "Last", "Northern", "Golden", "Broken", "Second", "Silver", "Hidden", "Long",
    "Early", "Paper", "Distant", "Green", "Crooked", "Seventh", "Velvet", "Lost", "Amber", "Midnight",
    "Iron", "Wandering", "Pale", "Little",
]  # fmt: skip
_NOUNS = 8


class Titles(Mapping[int, str]):
    """``Silver Comet (space opera)`` by item id, from 1; no two items share one.

    vectors: (items, rank) float64 that generate the ratings. seed: shuffles the words, not the kinds.
    """

    def __init__(self, vectors: NDArray[np.float64], seed: int) -> None:
        self._vectors, self._seed = vectors, seed

    def __getitem__(self, item_id: int) -> str:
        if not 0 < item_id <= len(self._vectors):
            raise KeyError(item_id)
        kind, nouns = self.kind(item_id)
        combinations = len(_WORDS) * _NOUNS
        again, number = divmod(item_id - 1, combinations)
        # 31 and the number of combinations have no common factor: each is met once before any comes again.
        word, noun = divmod((31 * number + 17 * self._seed) % combinations, _NOUNS)
        part = f" {again + 1}" if again else ""
        return f"{_WORDS[word]} {nouns[noun]}{part} ({kind})"

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, len(self._vectors) + 1))

    def __len__(self) -> int:
        return len(self._vectors)

    def kind(self, item_id: int) -> tuple[str, list[str]]:
        """What kind an item is, and the nouns of that kind."""
        vector = self._vectors[item_id - 1, : len(_KINDS)]
        axis = int(np.argmax(np.abs(vector)))
        at = 0 if vector[axis] > 0 else 2
        return _KINDS[axis][at], _KINDS[axis][at + 1].split()
